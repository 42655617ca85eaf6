# From results.txt to an SVG: a panel of bars for each set (processor time per answer as a multiple
# of the limit, for TCP answers a second), and for each data set's loading time. Medians, and a
# line from the lowest to the highest round.

function field(key,   i) {
    for (i = 2; i <= NF; i++) {
        if (index($i, key "=") == 1) {
            return substr($i, length(key) + 2)
        }
    }
    return ""
}

function remember(list, item) {
    if (!((list, item) in known)) {
        known[list, item] = 1
        items[list, ++items[list]] = item
    }
}

function add(panel, server, number,   n, i) {
    remember("panel", panel)
    n = ++count[panel, server]
    for (i = n; i > 1 && values[panel, server, i - 1] > number; i--) {
        values[panel, server, i] = values[panel, server, i - 1]
    }
    values[panel, server, i] = number + 0
}

function escape(text) {
    gsub(/&/, "\\&amp;", text)
    gsub(/</, "\\&lt;", text)
    return text
}

function draw(panel, x, y, width,   i, server, n, most, scale, middle, bar, bars, top) {
    bars = items["server"] + ((panel, "echo") in count)
    items["server", items["server"] + 1] = "echo"
    top = y + 4
    printf "<text class=\"head\" x=\"%d\" y=\"%d\">%s</text>\n", x, y, escape(panel)
    for (i = 1; i <= bars; i++) {
        server = items["server", i]
        n = count[panel, server]
        if (n > 0 && values[panel, server, n] > most) {
            most = values[panel, server, n]
        }
    }
    scale = most > 0 ? (width - 150) / most : 0
    for (i = 1; i <= bars; i++) {
        server = items["server", i]
        n = count[panel, server]
        y += 20
        printf "<text class=\"name\" x=\"%d\" y=\"%d\">%s</text>\n", x + 58, y, server
        if (n == 0) {
            printf "<text x=\"%d\" y=\"%d\">&#8211;</text>\n", x + 66, y
            continue
        }
        middle = n % 2 ? values[panel, server, (n + 1) / 2] \
            : (values[panel, server, n / 2] + values[panel, server, n / 2 + 1]) / 2
        bar = middle * scale
        printf "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"13\"/>\n",
            server == "rrdnsd" ? "own" : server == "echo" ? "echo" : "peer", x + 64, y - 11, bar
        printf "<path d=\"M%.1f %d H%.1f\"/>\n", x + 64 + values[panel, server, 1] * scale, y - 4.5,
            x + 64 + values[panel, server, n] * scale
        printf "<text x=\"%.1f\" y=\"%d\">%s</text>\n",
            x + 70 + values[panel, server, n] * scale, y,
            sprintf(middle < 100 ? "%.2f" : "%.0f", middle)
    }
    if (panel ~ /limit$/ && scale > 0) {
        printf "<path class=\"limit\" d=\"M%.1f %d V%d\"/>\n", x + 64 + scale,
            top, y + 5
    }
}

$1 == "server" { remember("server", field("name")) }
$1 == "machine" {
    machine = field("cpu") ", Linux " field("kernel") ", " field("date")
    gsub(/_/, " ", machine)
    apart = field("softirq_apart") == "yes"
}
$1 == "run" && field("answered") > 0 {
    set = field("set"); server = field("server"); round = field("round")
    remember("set", set)
    cost[set, server, round] = field("cpu") + (apart ? field("softirq") : 0)
    rate[set, server, round] = field("qps") / 1000
    if (round > rounds) {
        rounds = round
    }
}
$1 == "load" && field("data") != "small" { remember("loaded", field("data")); loads[++loaded] = $0 }

END {
    servers = items["server"]
    for (s = 1; s <= items["set"]; s++) {
        set = items["set", s]
        for (i = 1; i <= servers + 1; i++) {
            server = i <= servers ? items["server", i] : "echo"
            for (r = 1; r <= rounds; r++) {
                if (!((set, server, r) in cost)) {
                    continue
                }
                if (set ~ /^tcp/) {
                    add(set ": 1000 answers a second", server, rate[set, server, r])
                } else if (server != "echo" && cost[set, "echo", r] > 0) {
                    add(set ": CPU per answer, times the limit", server,
                        cost[set, server, r] / cost[set, "echo", r])
                }
            }
        }
    }
    for (l = 1; l <= loaded; l++) {
        $0 = loads[l]
        add("loading " field("data") ": seconds", field("server"), field("seconds"))
    }
    columns = 2
    width = 440
    height = 20 * (servers + 1) + 50
    rows = int((items["panel"] + columns - 1) / columns)
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\">\n",
        columns * width + 40, rows * height + 60, columns * width + 40
    print "<style>text{font:12px sans-serif;fill:#222}" \
        ".head{font-weight:bold}.name{text-anchor:end}" \
        ".own{fill:#2a7f62}.peer{fill:#b8c4cc}.echo{fill:#c03030}path{stroke:#444;fill:none}" \
        ".limit{stroke:#c03030;stroke-dasharray:3 3}</style>"
    print "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>"
    printf "<text x=\"20\" y=\"24\">%s: %s</text>\n",
        "One core serves, another asks (dashed: the limit of the sockets, an echo)", escape(machine)
    for (p = 1; p <= items["panel"]; p++) {
        draw(items["panel", p], 20 + (p - 1) % columns * width,
            56 + int((p - 1) / columns) * height, width)
    }
    print "</svg>"
}
