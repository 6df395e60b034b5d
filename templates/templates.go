// Package templates holds the console's pages and static files, and nothing that runs. internal/admin parses and
// serves them. Sources of the static files, with the script that builds them, are in assets; they are not embedded.
package templates

import "embed"

// Files holds layout.html, partials/*.html and one folder of pages per app, all relative to this folder. The mails in
// emails are not pages of the console.
//
//go:embed layout.html */*.html
var Files embed.FS

// Static holds the built style sheet, scripts, fonts and drawings below static/.
//
//go:embed static
var Static embed.FS
