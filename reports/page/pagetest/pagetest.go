// Package pagetest reads pages in tests.
package pagetest

import (
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// Elements returns the elements of a page in their order.
func Elements(t *testing.T, text string) (list []*html.Node) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			list = append(list, n)
		}
	}
	return list
}

// Attribute returns the value of an attribute, or "".
func Attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// Content returns the texts of an element with one blank between two of them.
func Content(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
