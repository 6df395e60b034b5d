package main

import (
	"encoding/xml"
	"fmt"
	"strconv"
)

// noMinorUnit is what the list says of gold, drawing rights, test codes and the like. Nobody can be billed in them.
const noMinorUnit = "N.A."

// readISO gives the decimal places of each currency with a minor unit, and the day the list was published.
func readISO(from source) (map[string]int, string, error) {
	const path = "iso-4217-list-one.xml"
	files, err := from.fetch(path)
	if err != nil {
		return nil, "", err
	}
	var list struct {
		Published string `xml:"Pblshd,attr"`
		Entries   []struct {
			Code       string `xml:"Ccy"`
			MinorUnits string `xml:"CcyMnrUnts"`
		} `xml:"CcyTbl>CcyNtry"`
	}
	if err := xml.Unmarshal(files[path], &list); err != nil {
		return nil, "", fmt.Errorf("read %s: %w", path, err)
	}
	exponents := map[string]int{}
	for _, entry := range list.Entries {
		// Antarctica and a few more countries have no currency.
		if entry.Code == "" || entry.MinorUnits == noMinorUnit {
			continue
		}
		exponent, err := strconv.Atoi(entry.MinorUnits)
		if err != nil {
			return nil, "", fmt.Errorf("minor units of %s: %w", entry.Code, err)
		}
		if known, ok := exponents[entry.Code]; ok && known != exponent {
			return nil, "", fmt.Errorf("%s has both %d and %d decimal places", entry.Code, known, exponent)
		}
		exponents[entry.Code] = exponent
	}
	return exponents, list.Published, nil
}
