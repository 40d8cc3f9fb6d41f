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

// picture is a column of charts. The legend of a chart is above it, so that it covers
// no data.
type picture struct {
	title, subtitle string
	charts          []*chart
	height          vg.Length
}

// chart is one plot with its legend.
type chart struct {
	*plot.Plot
	share   float64 // of the height of the picture
	x, y    string  // labels of the axes, with their units
	entries []legendEntry
}

type legendEntry struct {
	name   string
	sample plot.Thumbnailer
}

const (
	pictureWidth = 8.6 * vg.Inch
	pictureDPI   = 100
	margin       = 10 // in points, like the sizes below
	titleSize    = 13
	textSize     = 10
	sampleWidth  = 22
	entryGap     = 14
	labelGap     = 6
)

// The colours remain distinct for colour-blind readers (Okabe and Ito).
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

// grid adds lines at the labelled ticks. It must be added first, to be drawn below
// the data.
func (p *chart) grid() {
	g := plotter.NewGrid()
	g.Vertical.Color, g.Horizontal.Color = color.Gray{0xdd}, color.Gray{0xdd}
	p.Add(g)
}

// line adds a line through the points, and an entry of the legend if it has a
// name.
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
	canvas := vgimg.NewWith(vgimg.UseWH(pictureWidth, p.height), vgimg.UseDPI(pictureDPI),
		vgimg.UseBackgroundColor(color.White))
	p.draw(draw.Crop(draw.New(canvas), margin, -margin, margin, -margin))
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(w, reduceColours(canvas.Image())); err != nil {
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
		areas[i].Min.X += left - one.DataCanvas(areas[i]).Min.X // align the vertical axes
		one.Draw(areas[i])
	}
}

// labels writes the labels of the axes and returns the rest of the area. The
// labels of plot.Plot are misplaced if an axis is logarithmic.
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

// legend draws the entries from left to right at the top of an area. It returns
// their height.
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

// reduceColours returns the image with 16 shades each of red, green and blue, which
// makes a small file. It returns the image unchanged if it still has more than 256
// colours.
func reduceColours(of image.Image) image.Image {
	const shade = 0xff / 0xf
	area := of.Bounds()
	p := image.NewPaletted(area, nil)
	indices := map[color.RGBA]uint8{}
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			r, g, b, _ := of.At(x, y).RGBA()
			nearest := func(v uint32) uint8 { return uint8((v>>8+shade/2)/shade) * shade }
			c := color.RGBA{nearest(r), nearest(g), nearest(b), 0xff}
			index, ok := indices[c]
			if !ok {
				if len(p.Palette) == 256 {
					return of
				}
				index = uint8(len(p.Palette))
				indices[c] = index
				p.Palette = append(p.Palette, c)
			}
			p.SetColorIndex(x, y, index)
		}
	}
	return p
}

// decades places the ticks of a logarithmic axis: a label at 1, 2 and 5 times every
// power of ten, or at the powers only if the range is large, and ticks between.
type decades struct{}

// Ticks returns the ticks from low to high, which are above 0.
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

// number formats v with four significant digits, or as a rounded integer with
// commas from 1,000 on.
func number(v float64) string {
	switch {
	case v == 0:
		return "0" // for -0 too
	case v >= 1000:
		return FormatCount(uint64(math.Round(v)))
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// linear places about five labelled ticks on a linear axis, at multiples of 1, 2 or
// 5 times a power of ten.
type linear struct{}

// Ticks returns the ticks from low to high.
func (linear) Ticks(low, high float64) []plot.Tick {
	step := niceStep((high - low) / 5)
	var ticks []plot.Tick
	for i := math.Ceil(low/step - 1e-9); i*step <= high+step*1e-9; i++ {
		ticks = append(ticks, plot.Tick{Value: i * step, Label: number(i * step)})
	}
	return ticks
}

// niceStep returns the smallest 1, 2 or 5 times a power of ten that is not below a
// step; 1 if the step is not positive.
func niceStep(step float64) float64 {
	if !(step > 0) {
		return 1
	}
	power := math.Pow10(int(math.Floor(math.Log10(step))))
	for _, digit := range []float64{1, 2, 5} {
		if digit*power >= step*(1-1e-9) {
			return digit * power
		}
	}
	return 10 * power
}

// logRange returns a range around low to high whose ends are 1, 2 or 5 times a power
// of ten, with a margin of at least 25 %.
func logRange(low, high float64) (from, to float64) {
	return 1 / niceStep(1.25/low), niceStep(1.25 * high) // 1/1, 1/2 and 1/5 are such numbers as well
}
