package main

import (
	"fmt"
	"os"
	"text/tabwriter"

	"countersign/internal/settings"
)

// settingsCommand prints the settings with what they mean; secrets only say whether they are set.
type settingsCommand struct{}

// Run is called by kong.
func (settingsCommand) Run() error {
	s, err := settings.Load()
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, l := range s.Lines() {
		fmt.Fprintf(w, "%s\t%s\t%s\n", l.Name, l.Value, l.About)
	}
	return w.Flush()
}
