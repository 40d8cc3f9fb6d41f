// Package filetype identifies files that are not UTF-8 text, so that a message can name their format.
package filetype

import "bytes"

// Formats that Of returns and that its callers tell apart.
const (
	UTF16 = "UTF-16 text" // or UTF-32
	Gzip  = "a gzip file"
)

// HeadBytes is the number of first bytes that identify a format.
const HeadBytes = tarMagicAt + len(tarMagic)

const (
	tarMagic   = "ustar"
	tarMagicAt = 257 // offset in the file, in bytes
)

// Of returns the format of a file that is not UTF-8 text by its first bytes, or "".
func Of(head []byte) string {
	if isUTF16(head) {
		return UTF16
	}
	for _, f := range [...]struct{ magic, format string }{
		{"\x1f\x8b", Gzip}, {"PK\x03\x04", "a zip archive"}, {"PK\x05\x06", "a zip archive"},
		{"\xfd7zXZ\x00", "an xz file"}, {"\x28\xb5\x2f\xfd", "a zstd file"}, {"BZh", "a bzip2 file"},
		{"7z\xbc\xaf\x27\x1c", "a 7z archive"}, {"Rar!\x1a", "a rar archive"}, {"\x04\x22\x4d\x18", "an lz4 file"},
		{"LZIP", "an lzip file"}, {"\x1f\x9d", "a file of compress"}, {"%PDF-", "a PDF document"},
		{"SQLite format 3\x00", "an SQLite database"}, {"PAR1", "a Parquet file"}, {"\x89HDF", "an HDF5 file"},
	} {
		if bytes.HasPrefix(head, []byte(f.magic)) {
			return f.format
		}
	}
	if len(head) > tarMagicAt && bytes.HasPrefix(head[tarMagicAt:], []byte(tarMagic)) {
		return "a tar archive"
	}
	return ""
}

// isUTF16 reports whether a text begins with a byte order mark of UTF-16 or UTF-32, or, in UTF-16, with two ASCII
// characters.
func isUTF16(text []byte) bool {
	if len(text) >= 4 && text[0] != text[1] {
		high, low := text[0]|text[2], text[1]|text[3]
		if high == 0 && text[1] != 0 && text[3] != 0 || low == 0 && text[0] != 0 && text[2] != 0 {
			return true
		}
	}
	return bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")) ||
		bytes.HasPrefix(text, []byte("\x00\x00\xfe\xff"))
}
