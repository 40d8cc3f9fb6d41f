package reports

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"strconv"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// picture is plots below each other, each with its legend above it, where no
// data are.
type picture struct {
	title, subtitle string
	charts          []*chart
	height          vg.Length
}

// chart is one plot with the entries of its legend; share is its part of the
// height.
type chart struct {
	*plot.Plot
	share   float64
	x, y    string // what the axes are, with their units
	entries []legendEntry
}

type legendEntry struct {
	name   string
	sample plot.Thumbnailer
}

const (
	pictureWidth = 8.6 * vg.Inch
	pictureDPI   = 100
	margin       = 10 // points, as all below
	titleSize    = 13
	textSize     = 10
	sampleWidth  = 22
	entryGap     = 14
	labelGap     = 6
)

// Colours that the colour-blind tell apart, too (Okabe and Ito).
func blue() color.Color   { return color.RGBA{0x00, 0x72, 0xb2, 0xff} }
func orange() color.Color { return color.RGBA{0xe6, 0x9f, 0x00, 0xff} }
func red() color.Color    { return color.RGBA{0xd5, 0x5e, 0x00, 0xff} }
func green() color.Color  { return color.RGBA{0x00, 0x9e, 0x73, 0xff} }
func purple() color.Color { return color.RGBA{0xa0, 0x40, 0x90, 0xff} }
func grey() color.Color   { return color.Gray{0x70} }
func pale() color.Color   { return color.Gray{0xec} }

func sans(size vg.Length, bold bool) text.Style {
	f := font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
	if bold {
		f.Weight = xfont.WeightBold
	}
	return text.Style{Font: f, Color: color.Black, Handler: plot.DefaultTextHandler}
}

func newChart(share float64, x, y string) *chart {
	p := &chart{Plot: plot.New(), share: share, x: x, y: y}
	p.BackgroundColor = nil
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Tick.Label.Font = sans(textSize, false).Font
		axis.Tick.Length, axis.Padding = 4, 0
	}
	return p
}

// grid draws lines at the labelled ticks; it belongs below everything else.
func (p *chart) grid() {
	g := plotter.NewGrid()
	g.Vertical.Color, g.Horizontal.Color = color.Gray{0xdd}, color.Gray{0xdd}
	p.Add(g)
}

// line adds a line through the points, and names it in the legend.
func (p *chart) line(name string, c color.Color, dashes []vg.Length, points plotter.XYs) *plotter.Line {
	l := &plotter.Line{XYs: points, LineStyle: draw.LineStyle{Color: c, Width: 1.5, Dashes: dashes}}
	p.Add(l)
	if name != "" {
		p.entries = append(p.entries, legendEntry{name, l})
	}
	return l
}

// write draws the picture as a PNG.
func (p *picture) write(w io.Writer) error {
	canvas := vgimg.NewWith(vgimg.UseWH(pictureWidth, p.height), vgimg.UseDPI(pictureDPI), vgimg.UseBackgroundColor(color.White))
	p.draw(draw.Crop(draw.New(canvas), margin, -margin, margin, -margin))
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(w, fewColours(canvas.Image())); err != nil {
		return fmt.Errorf("writing a plot: %w", err)
	}
	return nil
}

func (p *picture) draw(c draw.Canvas) {
	title := sans(titleSize, true)
	for _, one := range []struct {
		style text.Style
		text  string
	}{{title, p.title}, {sans(textSize, false), p.subtitle}} {
		if one.text == "" {
			continue
		}
		height := one.style.FontExtents().Height
		c.FillText(one.style, vg.Point{X: c.Min.X, Y: c.Max.Y - height}, one.text)
		c.Max.Y -= height + 4
	}
	areas := make([]draw.Canvas, len(p.charts))
	left, free := vg.Length(0), c.Max.Y-c.Min.Y
	for i, one := range p.charts {
		area := c
		area.Min.Y = c.Max.Y - vg.Length(one.share)*free
		c.Max.Y = area.Min.Y
		area.Max.Y -= one.legend(area) + labelGap
		areas[i] = one.labels(area)
		left = max(left, one.DataCanvas(areas[i]).Min.X)
	}
	for i, one := range p.charts {
		areas[i].Min.X += left - one.DataCanvas(areas[i]).Min.X // the axes stand below each other
		one.Draw(areas[i])
	}
}

// labels writes what the axes are and leaves the rest of the area. (The plot's
// own labels take room at the wrong place when an axis is logarithmic.)
func (p *chart) labels(c draw.Canvas) draw.Canvas {
	style := sans(textSize, false)
	height := style.FontExtents().Height
	style.XAlign = text.XCenter
	if p.x != "" {
		c.FillText(style, vg.Point{X: c.Center().X, Y: c.Min.Y + 2}, p.x)
		c.Min.Y += height
	}
	style.Rotation = math.Pi / 2
	c.FillText(style, vg.Point{X: c.Min.X + height - style.FontExtents().Descent, Y: c.Center().Y}, p.y)
	c.Min.X += height + labelGap
	return c
}

// legend draws the entries from left to right at the top of an area and says how
// high they are.
func (p *chart) legend(c draw.Canvas) (height vg.Length) {
	style := sans(textSize, false)
	row := style.FontExtents().Height + 2
	x, height := c.Min.X, row
	for _, e := range p.entries {
		width := sampleWidth + 4 + style.Width(e.name)
		if x > c.Min.X && x+width > c.Max.X {
			x, height = c.Min.X, height+row
		}
		bottom := c.Max.Y - height
		e.sample.Thumbnail(&draw.Canvas{Canvas: c.Canvas, Rectangle: vg.Rectangle{
			Min: vg.Point{X: x, Y: bottom}, Max: vg.Point{X: x + sampleWidth, Y: bottom + row}}})
		c.FillText(style, vg.Point{X: x + sampleWidth + 4, Y: bottom + 3}, e.name)
		x += width + entryGap
	}
	return height
}

// fewColours is an image with 16 shades of red, green and blue each, which is
// enough for lines on white and makes a small file; the image itself when these
// come to more than 256 colours.
func fewColours(of image.Image) image.Image {
	const shade = 0xff / 0xf
	area := of.Bounds()
	p := image.NewPaletted(area, nil)
	places := map[color.RGBA]uint8{}
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			r, g, b, _ := of.At(x, y).RGBA()
			nearest := func(v uint32) uint8 { return uint8((v>>8+shade/2)/shade) * shade }
			c := color.RGBA{nearest(r), nearest(g), nearest(b), 0xff}
			place, ok := places[c]
			if !ok {
				if len(p.Palette) == 256 {
					return of
				}
				place = uint8(len(p.Palette))
				places[c] = place
				p.Palette = append(p.Palette, c)
			}
			p.SetColorIndex(x, y, place)
		}
	}
	return p
}

// decades are the ticks of a logarithmic axis: a label at 1, 2 and 5 of every
// power of ten (of a range over more than two of them at 1 only), short ticks
// between.
type decades struct{}

// Ticks are those from low to high, both above 0.
func (decades) Ticks(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	few := high/low > 300
	for e := int(math.Floor(math.Log10(low))); e <= int(math.Ceil(math.Log10(high))); e++ {
		for digit := 1; digit <= 9; digit++ {
			v := float64(digit) * math.Pow10(e)
			if v < low*(1-1e-9) || v > high*(1+1e-9) {
				continue
			}
			t := plot.Tick{Value: v}
			if digit == 1 || !few && (digit == 2 || digit == 5) {
				t.Label = number(v)
			}
			ticks = append(ticks, t)
		}
	}
	return ticks
}

// number is v without an exponent, with commas, as far as it has digits that
// count.
func number(v float64) string {
	switch {
	case v == 0:
		return "0" // also of -0
	case v >= 1000:
		return FormatCount(uint64(math.Round(v)))
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// linear are the ticks of an even axis: a label at every 1, 2 or 5 times a power
// of ten, five or so in all.
type linear struct{}

// Ticks are those from low to high.
func (linear) Ticks(low, high float64) []plot.Tick {
	step := niceStep((high - low) / 5)
	var ticks []plot.Tick
	for i := math.Ceil(low/step - 1e-9); i*step <= high+step*1e-9; i++ {
		ticks = append(ticks, plot.Tick{Value: i * step, Label: number(i * step)})
	}
	return ticks
}

// niceStep is 1, 2 or 5 times a power of ten, about as large as wanted.
func niceStep(wanted float64) float64 {
	if !(wanted > 0) {
		return 1
	}
	power := math.Pow10(int(math.Floor(math.Log10(wanted))))
	for _, digit := range []float64{1, 2, 5} {
		if digit*power >= wanted*(1-1e-9) {
			return digit * power
		}
	}
	return 10 * power
}

// logRange goes from a nice number below to one above, a third of a doubling
// away at least.
func logRange(low, high float64) (from, to float64) {
	nice := []float64{1, 2, 5, 10}
	low, high = low/1.25, high*1.25
	power := math.Pow10(int(math.Floor(math.Log10(low))))
	for _, d := range nice {
		if d*power <= low {
			from = d * power
		}
	}
	power = math.Pow10(int(math.Floor(math.Log10(high))))
	for _, d := range nice {
		if d*power >= high {
			return from, d * power
		}
	}
	return from, 10 * power
}
