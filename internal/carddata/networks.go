package carddata

// network is who gives out cards whose numbers begin with four digits of a range, and how long the numbers are.
type network struct {
	from, to int
	lengths  []int
}

// networks are those of ISO/IEC 7812 whose cards people hold where Countersign is used, and the world's. A range that
// is left out lets card numbers in; one that is too wide refuses bank references. So each has its reason.
var networks = []network{
	{2200, 2205, []int{16, 17, 18, 19}},             // Mir; PayPak
	{2221, 2720, []int{16}},                         // Mastercard since 2017
	{3000, 3059, []int{14, 16}},                     // Diners Club
	{3095, 3095, []int{14, 16}},                     // Diners Club
	{3400, 3499, []int{15}},                         // American Express
	{3528, 3589, []int{16, 17, 18, 19}},             // JCB; telephones' IMEIs begin with 35 too, and have 15 digits
	{3600, 3699, []int{14, 16}},                     // Diners Club
	{3700, 3799, []int{15}},                         // American Express
	{3800, 3999, []int{14, 16}},                     // Diners Club
	{4000, 4999, []int{13, 16, 19}},                 // Visa; no card of 13 digits is valid any more, but lists of them go around
	{5018, 5018, []int{13, 14, 15, 16, 17, 18, 19}}, // Maestro
	{5020, 5020, []int{13, 14, 15, 16, 17, 18, 19}}, // Maestro
	{5038, 5038, []int{13, 14, 15, 16, 17, 18, 19}}, // Maestro
	{5100, 5599, []int{16}},                         // Mastercard
	{5614, 5614, []int{16}},                         // Uzcard
	{5893, 5893, []int{13, 14, 15, 16, 17, 18, 19}}, // Maestro
	{6011, 6011, []int{16, 17, 18, 19}},             // Discover
	{6200, 6299, []int{16, 17, 18, 19}},             // UnionPay, also on cards of Uzcard
	{6304, 6304, []int{13, 14, 15, 16, 17, 18, 19}}, // Maestro
	{6440, 6599, []int{16, 17, 18, 19}},             // Discover, RuPay
	{6759, 6759, []int{13, 14, 15, 16, 17, 18, 19}}, // Maestro
	{6761, 6763, []int{13, 14, 15, 16, 17, 18, 19}}, // Maestro
	{8600, 8600, []int{16}},                         // Uzcard
	{9860, 9860, []int{16}},                         // Humo
}

// issued says whether a network gives out numbers with this beginning and length.
func issued(number []byte) bool {
	start := int(number[0])*1000 + int(number[1])*100 + int(number[2])*10 + int(number[3])
	for _, n := range networks {
		if start < n.from || start > n.to {
			continue
		}
		for _, length := range n.lengths {
			if length == len(number) {
				return true
			}
		}
	}
	return false
}
