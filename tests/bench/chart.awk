# From results.txt to an SVG: a panel of bars for each set (processor time per answer as a multiple
# of the limit; for TCP, answers a second), for each data set's loading, for changes, and for growth
# with the names of a zone. Medians, and a line from the lowest to the highest round. Read after
# common.awk.
#
# The slowest would press all others into the first few pixels: a bar ends, with a break, where it
# is more than four times as long as the second shortest.

# The picture's height is known only at its end.
function emit(text) {
    body = body text "\n"
}

function escape(text) {
    gsub(/&/, "\\&amp;", text)
    gsub(/</, "\\&lt;", text)
    return text
}

function wide(bar) {
    return bar < room ? bar : room
}

function short(number) {
    return sprintf(number < 0.1 ? "%.3f" : number < 100 ? "%.2f" : "%.0f", number)
}

# The value that a full bar stands for; 0: there is nothing to draw. bars[1..count] are the servers.
function choose_scale(set, figure, bars, count,   i, n, list, medians, most) {
    n = 0
    for (i = 1; i <= count; i++) {
        if (collect(set, bars[i], figure, list) > 0) {
            insert(medians, ++n, median(set, bars[i], figure))
        }
    }
    if (n < 2) { # alone is no comparison
        return 0
    }
    most = medians[n]
    return figure != "qps" && n > 2 && most > 4 * medians[2] ? 4 * medians[2] : most * 1.1
}

function draw_bar(set, server, figure, x, y, full,   n, list, m, length_of) {
    emit(sprintf("<text class=\"name\" x=\"%d\" y=\"%d\">%s</text>", x + names_room - 6, y, server))
    n = collect(set, server, figure, list)
    if (n == 0) {
        emit(sprintf("<text class=\"none\" x=\"%d\" y=\"%d\">&#8211;</text>", x + names_room, y))
        return
    }
    m = middle(list, n)
    x += names_room
    length_of = wide(m / full * room)
    emit(sprintf("<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"13\"/>",
        server ~ /^rrdnsd/ || set == "grow" && server != "echo" ? "own" : \
        server == "echo" || server == "relay" ? "echo" : "peer", x, y - 11, length_of))
    if (m > full) {
        emit(sprintf("<path class=\"break\" d=\"M%.1f %d l-5 15\"/>", x + room - 12, y - 12))
    } else if (n > 1) {
        emit(sprintf("<path d=\"M%.1f %.1f H%.1f\"/>", x + wide(list[1] / full * room), y - 4.5,
            x + wide(list[n] / full * room)))
        length_of = wide(list[n] / full * room)
    }
    emit(sprintf("<text x=\"%.1f\" y=\"%d\">%s</text>", x + length_of + 6, y, short(m)))
}

function draw(title, set, figure, bars, count,   x, y, i, full) {
    full = choose_scale(set, figure, bars, count)
    if (full == 0) {
        return
    }
    if (panels % columns == 0) {
        top += tallest
        tallest = 0
    }
    x = 20 + panels++ % columns * width
    y = top
    emit(sprintf("<text class=\"head\" x=\"%d\" y=\"%d\">%s</text>", x, y, escape(title)))
    for (i = 1; i <= count; i++) {
        y += 19
        draw_bar(set, bars[i], figure, x, y, full)
    }
    if (figure == "times") {
        emit(sprintf("<path class=\"limit\" d=\"M%.1f %d V%d\"/>", x + names_room + room / full,
            top + 5, y + 5))
    }
    if (y - top + 42 > tallest) {
        tallest = y - top + 42
    }
}

# Not everyone takes part in each of these sets.
function draw_forwarding(set,   i, n, bars) {
    n = 0
    for (i = 1; i <= items["forwarder"]; i++) {
        if (median(set, items["forwarder", i], "times") != "") {
            bars[++n] = items["forwarder", i]
        }
    }
    if (median(set, "relay", "times") != "") {
        bars[++n] = "relay"
    }
    draw(set ": CPU per answer, times the limit", set, "times", bars, n)
}

function draw_sets(   s, set) {
    for (s = 1; s <= items["set"]; s++) {
        set = items["set", s]
        if (set == "grow") {
            continue
        }
        if (set ~ /^sign-/) {
            draw(set ": CPU per answer, times the limit", set, "times", signers, items["signer"])
            continue
        }
        if (set ~ /^proxy-/) {
            draw_forwarding(set)
            continue
        }
        if (set ~ /^tcp/) {
            draw(set ": 1000 answers a second", set, "qps", with_echo, servers + 1)
        } else {
            draw(set ": CPU per answer, times the limit", set, "times", alone, servers)
        }
    }
}

function draw_rest(   i, parts, sizes) {
    for (i = 1; i <= items["loading"]; i++) {
        split(items["loading", i], parts, " ")
        draw("loading " parts[2] (parts[3] == "one" ? ", one processor" : ", two processors") \
            ": seconds", items["loading", i], "seconds", alone, servers)
    }
    for (i = 1; i <= items["change"]; i++) {
        draw(what[items["change", i]] ": seconds", items["change", i], "seconds", alone, servers)
    }
    for (i = 1; i <= items["grown"]; i++) {
        sizes[i] = items["grown", i]
    }
    draw("rrdnsd by names in the zone: CPU per answer, us", "grow", "cpu", sizes, items["grown"])
}

END {
    count_times()
    columns = 2
    width = 460
    names_room = 96
    room = width - names_room - 80
    what["reload reload"] = "reload of the tld zone under load"
    what["change reload_zone"] = "one zone of hosts changed, by name"
    what["change reload_signal"] = "one zone of hosts changed, by SIGHUP"
    servers = items["server"]
    for (i = 1; i <= servers; i++) {
        alone[i] = with_echo[i] = items["server", i]
    }
    with_echo[servers + 1] = "echo"
    for (i = 1; i <= items["signer"]; i++) {
        signers[i] = items["signer", i]
    }
    top = 70
    draw_sets()
    draw_rest()
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\">\n",
        columns * width + 30, top + tallest
    print "<style>text{font:12px sans-serif;fill:#222}" \
        ".head{font-weight:bold}.name{text-anchor:end}.none{fill:#999}" \
        ".own{fill:#2a7f62}.peer{fill:#b8c4cc}.echo{fill:#c03030}path{stroke:#444;fill:none}" \
        ".limit{stroke:#c03030;stroke-dasharray:3 3}.break{stroke:#fff;stroke-width:4}</style>"
    print "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>"
    printf "<text x=\"20\" y=\"22\">%s</text>\n<text x=\"20\" y=\"39\">%s</text>\n",
        escape(made_on), "One core serves, another asks. Dashed: the limit of the sockets, an" \
        " echo. Shorter is better, but for answers a second."
    printf "%s</svg>\n", body
}
