// Package admin is the console: declarations become pages, as in Django's admin, with typed functions in place of
// reflection.
//
// It owns the frame around every page (navigation, languages, colours, content policy), the renderer, and the generic
// list, detail, form and confirmation pages. It knows no table and no app: each app hands over Sections, most of them
// made by a ModelAdmin, and calls Render for pages of its own.
//
// Two rules hold for everything below /console/: GET never changes anything, and an action calls the same service
// method as the API and shows that method's own refusal.
package admin
