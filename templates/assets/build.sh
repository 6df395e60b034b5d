#!/usr/bin/env bash
# Rebuilds templates/static from its sources: our own CSS, script and drawings,
# plus the pinned packages of package.json. The result is committed, so that
# building and running Countersign needs no Node. Run it after changing
# anything in this folder.
set -euo pipefail
cd "$(dirname "$0")"

static=../static
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp package.json "$work/"
(cd "$work" && npm install --no-audit --no-fund --ignore-scripts --no-package-lock --loglevel=error)
modules=$work/node_modules

rm -rf "$static"
mkdir -p "$static/fonts" "$static/swagger" "$static/licenses"

lightningcss=$(ls "$modules"/lightningcss-cli-*/lightningcss | head -1)
"$lightningcss" --bundle --minify css/app.css -o "$static/app.css"
"$lightningcss" --minify css/docs.css -o "$static/swagger/docs.css"
cp js/app.js "$static/app.js"
cp js/docs.js "$static/swagger/docs.js"
cp svg/*.svg "$static/"

cp "$modules/htmx.org/dist/htmx.min.js" "$static/htmx.min.js"
cp "$modules/htmx.org/LICENSE" "$static/licenses/htmx.txt"
cp "$modules/swagger-ui-dist/swagger-ui-bundle.js" "$modules/swagger-ui-dist/swagger-ui.css" "$static/swagger/"
# The maps are not shipped, so the references to them would only be 404s.
sed -i -E 's@/[*/][#] sourceMappingURL=.*$@@' "$static/swagger/swagger-ui-bundle.js" "$static/swagger/swagger-ui.css"
cat "$modules/swagger-ui-dist/LICENSE" "$modules/swagger-ui-dist/NOTICE" \
	"$modules/swagger-ui-dist/swagger-ui-bundle.js.LICENSE.txt" >"$static/licenses/swagger-ui.txt"

font() { # package, file without ending
	cp "$modules/$1/files/$2.woff2" "$static/fonts/"
}
for subset in latin latin-ext cyrillic; do
	font @fontsource-variable/inter "inter-$subset-wght-normal"
	font @fontsource-variable/source-serif-4 "source-serif-4-$subset-wght-normal"
done
font @fontsource-variable/noto-sans-bengali noto-sans-bengali-bengali-wght-normal
font @fontsource/ibm-plex-mono ibm-plex-mono-latin-400-normal
cp "$modules/@fontsource-variable/inter/LICENSE" "$static/licenses/inter.txt"
cp "$modules/@fontsource-variable/source-serif-4/LICENSE" "$static/licenses/source-serif-4.txt"
cp "$modules/@fontsource-variable/noto-sans-bengali/LICENSE" "$static/licenses/noto-sans-bengali.txt"
cp "$modules/@fontsource/ibm-plex-mono/LICENSE" "$static/licenses/ibm-plex-mono.txt"

du -sh "$static" | cut -f1
