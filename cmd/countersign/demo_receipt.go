package main

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"strings"
	"time"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"
)

// demoReceipt draws what a bank's app might show: enough to be looked at beside a claim.
func demoReceipt(payer, reference, amount string) ([]byte, error) {
	const width, height, scale = 210, 300, 2
	small := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.Draw(small, small.Bounds(), image.NewUniform(color.White), image.Point{}, draw.Src)
	draw.Draw(small, image.Rect(0, 0, width, 44), image.NewUniform(color.RGBA{0x1f, 0x4e, 0x5f, 0xff}), image.Point{}, draw.Src)
	write := func(x, y int, c color.Color, text string) {
		d := font.Drawer{Dst: small, Src: image.NewUniform(c), Face: basicfont.Face7x13, Dot: fixed.P(x, y)}
		d.DrawString(text)
	}
	write(14, 27, color.White, "Example Bank  transfer")
	lines := []string{"Amount", amount, "", "Reference", reference, "", "From", ascii(payer), "", "Date", time.Now().UTC().Format("2006-01-02"), "", "Status", "SENT"}
	for i, line := range lines {
		write(14, 70+i*15, color.RGBA{0x22, 0x2b, 0x33, 0xff}, line)
	}
	large := image.NewRGBA(image.Rect(0, 0, width*scale, height*scale))
	for y := range height * scale {
		for x := range width * scale {
			large.Set(x, y, small.At(x/scale, y/scale))
		}
	}
	var buf bytes.Buffer
	err := png.Encode(&buf, large)
	return buf.Bytes(), err
}

// ascii is what the small font can draw.
func ascii(text string) string {
	out := strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return -1
		}
		return c
	}, text)
	if strings.TrimSpace(out) == "" {
		return "the payer"
	}
	return out
}
