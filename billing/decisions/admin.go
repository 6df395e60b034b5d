package decisions

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/money"
	"countersign/internal/admin"
	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/tenancy"
)

// section is where the console shows the ladder.
const section = "approval-rules"

// blankRungs is how many empty rules the form ends with.
const blankRungs = 2

// KnowSignals tells the console which signals a rule may ask for. What a signal is belongs to what is decided about.
func (s *Service) KnowSignals(signals []admin.Option) { s.signals = signals }

func (s *Service) section() admin.Section {
	form := admin.SingleForm{Crumbs: []admin.Link{{Text: "Approval rules", URL: admin.URL(section)}}, Title: "Edit the approval rules", URL: admin.URL(section, "edit"),
		Description: "Rules are tried by their place, the smallest first. The first that fits decides. Without one that fits, the threshold of the settings holds.",
		Back:        admin.URL(section), Permission: auth.TenantManage, Groups: s.ladderForm, Save: s.saveLadder}
	routes := form.Routes("/edit/")
	return admin.ModelAdmin[Policy]{Name: section, Title: "Approval rules", Icon: "seal", Group: admin.GroupSetUp, Place: 20, Permission: auth.BillingView,
		ListView: s.ladderView, NoDetail: true, Routes: routes}.Section()
}

func (s *Service) read(ctx context.Context) (rungs []Policy, tenant *tenancy.Tenant, err error) {
	err = tenancy.Read(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		if rungs, err = Ladder(ctx, tx, SubjectPayment); err != nil {
			return err
		}
		tenant, err = tenancy.Current(ctx, tx)
		return err
	})
	return rungs, tenant, err
}

// ladderView says in sentences which payments need whom.
func (s *Service) ladderView(w http.ResponseWriter, r *http.Request) error {
	rungs, tenant, err := s.read(r.Context())
	if err != nil {
		return err
	}
	reader := admin.ReaderOf(r)
	var rows [][]admin.Cell
	for _, p := range rungs {
		rows = append(rows, []admin.Cell{admin.Text(strconv.Itoa(p.Rank)), admin.Text(s.condition(reader, p)), admin.Text(needs(reader, p.Approvals, p.RequiresEvidence)), who(p.Permission)})
	}
	rows = append(rows, []admin.Cell{admin.Text("…"), admin.Text(reader.Say("every other payment")), admin.Text(otherwise(reader, tenant)), who(auth.BillingApprove)})
	page := admin.ListPage{Title: "Approval rules", Description: "How many people must approve a payment before it is posted. Nobody decides about his own claim, and two approvals are two people.",
		Table: admin.NewTable("", []string{"Place", "A payment …", "Needs", "Who may approve"}, nil, rows)}
	if p, _ := auth.From(r.Context()); p.Can(auth.TenantManage) {
		page.Buttons = []admin.Button{{Title: "Edit", URL: admin.URL(section, "edit"), Primary: true}}
	}
	return admin.Render(w, r, "admin/list", page)
}

// who says who may approve.
func who(permission string) admin.Cell {
	if permission == auth.BillingApprove {
		return admin.Word("Everybody who may approve payments")
	}
	return admin.Code(permission)
}

// condition says which payments a rule is about.
func (s *Service) condition(r admin.Reader, p Policy) string {
	var parts []string
	if p.PaymentMethod != "" {
		parts = append(parts, r.Say("by {{.method}}", "method", r.Say(accounts.MethodLabel(p.PaymentMethod))))
	}
	amount := func(minor *int64) string { return r.Money(money.New(*minor, p.Currency)) }
	switch {
	case p.FromAmountMinor != nil && p.ToAmountMinor != nil:
		parts = append(parts, r.Say("from {{.from}} to below {{.to}}", "from", amount(p.FromAmountMinor), "to", amount(p.ToAmountMinor)))
	case p.FromAmountMinor != nil:
		parts = append(parts, r.Say("of {{.from}} or more", "from", amount(p.FromAmountMinor)))
	case p.ToAmountMinor != nil:
		parts = append(parts, r.Say("below {{.to}}", "to", amount(p.ToAmountMinor)))
	case p.Currency != "":
		parts = append(parts, r.Say("in {{.currency}}", "currency", p.Currency))
	}
	if p.Signal != "" {
		parts = append(parts, r.Say("with the signal “{{.signal}}”", "signal", r.Say(s.signalLabel(p.Signal))))
	}
	if len(parts) == 0 {
		return r.Say("any payment")
	}
	return strings.Join(parts, ", ")
}

func (s *Service) signalLabel(code string) string {
	for _, o := range s.signals {
		if o.Value == code {
			return o.Label
		}
	}
	return code
}

func needs(r admin.Reader, approvals int, evidence bool) string {
	text := r.Say("one approval")
	if approvals > 1 {
		text = r.Say("two approvals by different people")
	}
	if evidence {
		text += ", " + r.Say("a receipt")
	}
	return text
}

func otherwise(r admin.Reader, tenant *tenancy.Tenant) string {
	if tenant.TwoApprovalThresholdMinor == nil {
		return needs(r, 1, false)
	}
	return r.Say("one approval, and above {{.amount}} or in another currency two", "amount", r.Money(money.New(*tenant.TwoApprovalThresholdMinor, tenant.DefaultCurrency)))
}

func (s *Service) ladderForm(ctx context.Context) ([]admin.FieldGroup, error) {
	rungs, _, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	groups := []admin.FieldGroup{}
	for i, p := range rungs {
		groups = append(groups, s.rungFields(i, newPolicyResponse(p), "Rule"))
	}
	for i := range blankRungs {
		groups = append(groups, s.rungFields(len(rungs)+i, PolicyResponse{}, "New rule"))
	}
	return groups, nil
}

// fieldName is how the API names a field of a rule, so that what it says about it is shown beside it.
func fieldName(i int, name string) string { return "rules." + strconv.Itoa(i) + "." + name }

func (s *Service) rungFields(i int, p PolicyResponse, title string) admin.FieldGroup {
	field := func(name, label, kind, value string) admin.Field {
		return admin.Field{Name: fieldName(i, name), Label: label, Kind: kind, Value: value}
	}
	text := func(t *string) string {
		if t == nil {
			return ""
		}
		return *t
	}
	rank := ""
	if p.Approvals > 0 {
		rank = strconv.Itoa(p.Rank)
	}
	method := field("payment_method", "Method", "select", "")
	for _, m := range accounts.Methods() {
		method.Options = append(method.Options, admin.Option{Value: m, Label: accounts.MethodLabel(m), Selected: m == text(p.PaymentMethod)})
	}
	signal := field("signal", "Signal", "select", "")
	for _, o := range s.signals {
		o.Selected = o.Value == text(p.Signal)
		signal.Options = append(signal.Options, o)
	}
	approvals := field("approvals", "Approvals", "select", "")
	for _, o := range []admin.Option{{Value: "1", Label: "one approval"}, {Value: "2", Label: "two approvals by different people"}} {
		o.Selected = o.Value == strconv.Itoa(p.Approvals)
		approvals.Options = append(approvals.Options, o)
	}
	approvals.Hint = "Empty: this rule is removed."
	evidence := field("requires_evidence", "A receipt is required", "checkbox", "")
	evidence.Checked = p.RequiresEvidence
	permission := field("permission", "Who may approve", "select", "")
	for _, known := range auth.Permissions() {
		permission.Options = append(permission.Options, admin.Option{Value: known.Name, Label: known.Name, Selected: known.Name == p.Permission})
	}
	permission.Hint = "Empty: everybody who may approve payments."
	rankField := field("rank", "Place", "number", rank)
	rankField.Hint = "Smaller is tried first."
	return admin.FieldGroup{Title: title, Fields: []admin.Field{approvals, rankField, method, field("currency", "Currency", "text", text(p.Currency)),
		field("from_amount", "From this amount", "text", text(p.FromAmount)), field("to_amount", "To below this amount", "text", text(p.ToAmount)), signal, permission, evidence}}
}

// saveLadder sends the rules that say how many approvals they need; the others are taken out.
func (s *Service) saveLadder(ctx context.Context, form url.Values) (string, error) {
	rules := []any{}
	var places []int // in the form, of what is sent
	for i := range 1000 {
		if !form.Has(fieldName(i, "approvals")) {
			break
		}
		approvals := form.Get(fieldName(i, "approvals"))
		if approvals == "" {
			continue
		}
		rule := map[string]any{"requires_evidence": form.Has(fieldName(i, "requires_evidence")), "approvals": number(approvals), "rank": number(form.Get(fieldName(i, "rank")))}
		if form.Get(fieldName(i, "rank")) == "" {
			rule["rank"] = 10 * (i + 1)
		}
		for _, name := range []string{"payment_method", "currency", "from_amount", "to_amount", "signal", "permission"} {
			rule[name] = form.Get(fieldName(i, name))
		}
		rules, places = append(rules, rule), append(places, i)
	}
	var req LadderRequest
	err := admin.Bind(map[string]any{"rules": rules}, &req)
	if err == nil {
		var rungs []Policy
		if rungs, err = req.input(); err == nil {
			_, err = s.SetLadder(ctx, rungs)
		}
	}
	return "The rules hold from now on.", inForm(err, places)
}

func number(text string) any {
	if n, err := strconv.Atoi(text); err == nil {
		return n
	}
	return text
}

// inForm moves what is wrong with the rules that were sent to the places that they have in the form.
func inForm(err error, places []int) error {
	e := errs.As(err)
	if e == nil || len(e.Fields) == 0 {
		return err
	}
	moved := *e
	moved.Fields = map[string][]errs.Problem{}
	for field, problems := range e.Fields {
		parts := strings.SplitN(field, ".", 3)
		if len(parts) == 3 && parts[0] == "rules" {
			if i, err := strconv.Atoi(parts[1]); err == nil && i < len(places) {
				field = fieldName(places[i], parts[2])
			}
		}
		moved.Fields[field] = slices.Concat(moved.Fields[field], problems)
	}
	return &moved
}
