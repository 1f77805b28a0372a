# Finishes a page that swift-argument-parser's plugin wrote. The plugin passes the discussion of a command on as one text, and knows one sentence about
# exit statuses: here the examples in the discussion become a section, empty lines paragraphs, backquotes bold letters; the exit statuses are ours.
# The command help, which the parser adds to every other, has no page. A command that has others names them with what they do, and they name it.
#   awk -v statuses=FILE -v commands=FILE -v parent=PAGE -v product=NAME -f finish-manual.awk PAGE

# What stands between the description and the sections after it.
function after_description(   i) {
  if (!described || ended) return
  ended = 1
  pass_on(commands)
  pass_on(statuses)
  if (examples) {
    print ".Sh EXAMPLES"
    print ".Bd -literal -offset 2n"
    for (i = 1; i <= examples; i++) print example[i]
    print ".Ed"
  }
  if (parent) print ".Sh SEE ALSO\n.Xr " parent " 1"
}

function pass_on(file,   line) {
  if (!file) return
  while ((getline line < file) > 0) print line
  close(file)
}

# A page is found by its name with dashes, as those of git's commands are: deepseek-optimize.quant is deepseek-optimize-quant.
function dashes(line,   out) {
  out = ""
  while (match(line, /[Dd][Ee][Ee][Pp][Ss][Ee][Ee][Kk]-[A-Za-z.-]+/)) {
    name = substr(line, RSTART, RLENGTH)
    gsub(/\./, "-", name)
    out = out substr(line, 1, RSTART - 1) name
    line = substr(line, RSTART + RLENGTH)
  }
  return out line
}

function bold(line,   out, open) {
  out = ""
  while (match(line, /`/)) {
    out = out substr(line, 1, RSTART - 1) (open ? "\\fR" : "\\fB")
    line = substr(line, RSTART + 1)
    open = !open
  }
  return out line
}

# mdoc asks for a line to a sentence: how far apart sentences stand is the reader's matter.
function by_sentence(line,   out) {
  out = ""
  while (match(line, /[.?!] [A-Z]/)) {
    out = out substr(line, 1, RSTART) "\n"
    line = substr(line, RSTART + 2)
  }
  return out line
}

/^\.Sh / {
  title = $0
  gsub(/^\.Sh "?|"$/, "", title)
  skipping = title == "EXIT STATUS" || title == "SEE ALSO"
  if (skipping) next
  after_description()
  describing = title == "DESCRIPTION"
  if (describing) described = 1
  in_examples = pending = 0
  fresh = 1
  print ".Sh " title
  next
}
skipping { next }
/^\.Os$/ { print ".Os \"" product "\""; next }
/^\.Dt / { print dashes($0); next }
# A page's name has no spaces, or whatis cannot read it; what is typed has.
/^\.Nm "/ {
  typed = $0
  gsub(/ /, "-")
  gsub(/"/, "")
  sub(/^\.Nm-/, ".Nm ")
}
/^\.Nd / {
  gsub(/"/, "")
  sub(/\.$/, "")
}
/^\.Nm$/ && typed { print typed; next }
/^\.Ar subcommand$/ && !commands { next }
describing && /^EXAMPLES$/ { in_examples = 1; next }
in_examples && /^  / {
  sub(/^  /, "")
  if (/^[.']/) $0 = "\\&" $0
  example[++examples] = $0
  next
}
/^$/ || /^\.Pp$/ { pending = 1; next }
{
  in_examples = 0
  if (pending && !fresh && !/^\./) print ".Pp"
  pending = fresh = 0
  if (/^\./) print
  else print by_sentence(bold($0))
}
END { after_description() }
