# From results.txt to a table: medians over the rounds, with the lowest and highest behind them.
# tests/bench/run tells what the lines are.
#
# "x limit" is a server's processor time per answer divided by the echo responder's of the same
# round.

function field(key,   i) {
    for (i = 2; i <= NF; i++) {
        if (index($i, key "=") == 1) {
            return substr($i, length(key) + 2)
        }
    }
    return ""
}

# Values of one figure, to be sorted when they are needed.
function add(set, server, figure, number) {
    values[set, server, figure, ++count[set, server, figure]] = number + 0
}

function sorted(set, server, figure,   n, i, j, t) {
    n = count[set, server, figure]
    for (i = 2; i <= n; i++) {
        t = values[set, server, figure, i]
        for (j = i - 1; j > 0 && values[set, server, figure, j] > t; j--) {
            values[set, server, figure, j + 1] = values[set, server, figure, j]
        }
        values[set, server, figure, j + 1] = t
    }
    return n
}

function median(set, server, figure,   n) {
    n = sorted(set, server, figure)
    if (n == 0) {
        return ""
    }
    return n % 2 ? values[set, server, figure, (n + 1) / 2] \
        : (values[set, server, figure, n / 2] + values[set, server, figure, n / 2 + 1]) / 2
}

function spread(set, server, figure, format,   n, m) {
    m = median(set, server, figure)
    n = count[set, server, figure]
    if (n == 0) {
        return "-"
    }
    if (n == 1) {
        return sprintf(format, m)
    }
    return sprintf(format " (" format "-" format ")", m, values[set, server, figure, 1],
        values[set, server, figure, n])
}

function plain(set, server, figure, format,   m) {
    m = median(set, server, figure)
    return m == "" ? "-" : sprintf(format, m)
}

function remember(list, item) {
    if (!((list, item) in known)) {
        known[list, item] = 1
        items[list, ++items[list]] = item
    }
}

$1 == "machine" {
    machine = substr($0, 9)
    apart = field("softirq_apart") == "yes"
}
$1 == "server" {
    versions = versions " " field("name") " " field("version") ";"
    remember("server", field("name"))
}
$1 == "run" {
    set = field("set"); server = field("server"); round = field("round")
    remember("set", set)
    cpu = field("cpu") + (apart ? field("softirq") : 0)
    if (field("answered") == 0) {
        next
    }
    cost[set, server, round] = cpu
    add(set, server, "cpu", cpu)
    add(set, server, "user", field("user"))
    add(set, server, "system", field("system"))
    add(set, server, "softirq", field("softirq"))
    add(set, server, "qps", field("qps") / 1000)
    add(set, server, "busy", field("busy") * 100)
    add(set, server, "wait", field("wait") * 100)
    wrong = field("lost") + field("bad_question") + field("bad_rcode") + field("empty")
    add(set, server, "right", field("answered") / (field("answered") + wrong) * 100)
    if (field("other") > 0.1 || field("self") < 0.9) {
        noisy[set, server]++
        noise++
    }
    runs++
    if (round > rounds) {
        rounds = round
    }
}
$1 == "latency" {
    add(field("set"), field("server"), "p50", field("p50"))
    add(field("set"), field("server"), "p99", field("p99"))
    add(field("set"), field("server"), "lost", field("lost") + field("unsent"))
}
$1 == "agree" { agrees[field("set"), field("server")] = field("same") "/" field("total") }
$1 == "load" {
    remember("data", field("data"))
    add(field("data"), field("server"), "load", field("seconds"))
    add(field("data"), field("server"), "pss", field("pss_kib") / 1024)
}
$1 == "failed" { remember("data", field("data")); failed[field("data"), field("server")] = 1 }
$1 == "witness" {
    remember("witness", field("by"))
    witness[field("by"), field("server")] = field("qps")
}
$1 == "change" { changes[++changes[0]] = $0 }

END {
    print "machine: " machine
    print "servers:" versions
    if (noise > 0) {
        printf "NOTE: %d of %d measurements were disturbed by other work (marked *)\n", noise, runs
    }
    for (s = 1; s <= items["set"]; s++) {
        set = items["set", s]
        for (i = 1; i <= items["server"]; i++) {
            server = items["server", i]
            for (r = 1; r <= rounds; r++) {
                if (cost[set, "echo", r] > 0 && (set, server, r) in cost) {
                    add(set, server, "times", cost[set, server, r] / cost[set, "echo", r])
                }
            }
        }
        printf "\n%s\n%-8s %-22s %6s %6s %7s  %-18s %-20s %5s %5s", set, "server", "us/answer",
            "user", "system", "softirq", "x limit", "1000 answers/s", "busy%", "right"
        print set ~ /^tcp/ ? "" : sprintf(" %8s %8s %5s %s", "p50 us", "p99 us", "lost", "agrees")
        items["server", items["server"] + 1] = "echo"
        for (i = 1; i <= items["server"] + 1; i++) {
            server = items["server", i]
            if (count[set, server, "cpu"] == 0) {
                continue
            }
            printf "%-8s %-22s %6s %6s %7s  %-18s %-20s %5s %5s",
                server ((set, server) in noisy ? "*" : ""), spread(set, server, "cpu", "%.3f"),
                plain(set, server, "user", "%.2f"), plain(set, server, "system", "%.2f"),
                plain(set, server, "softirq", "%.2f"), spread(set, server, "times", "%.2f"),
                spread(set, server, "qps", "%.0f"), plain(set, server, "busy", "%.0f"),
                server == "echo" ? "" : plain(set, server, "right", "%.1f")
            print set ~ /^tcp/ ? "" : sprintf(" %8s %8s %5s %s", plain(set, server, "p50", "%.0f"),
                plain(set, server, "p99", "%.0f"), plain(set, server, "lost", "%.0f"),
                agrees[set, server])
        }
    }
    if (items["data"] > 0) {
        print "\nloading: seconds to the first right answers, MiB then (proportional set size)"
        printf "%-8s", "server"
        for (d = 1; d <= items["data"]; d++) {
            printf " %-32s", items["data", d]
        }
        print ""
        for (i = 1; i <= items["server"]; i++) {
            server = items["server", i]
            printf "%-8s", server
            for (d = 1; d <= items["data"]; d++) {
                data = items["data", d]
                printf " %-32s", (data, server) in failed && !count[data, server, "load"] \
                    ? "failed" : spread(data, server, "load", "%.2f") " / " \
                    plain(data, server, "pss", "%.0f")
            }
            print ""
        }
    }
    if (changes[0] > 0) {
        print "\nchanges under load: seconds to the new serial"
        printf "%-8s %-8s %-14s %8s %8s %9s %7s %7s %10s %10s\n", "set", "server", "told by",
            "seconds", "MiB", "peak MiB", "lost", "asked", "p99 before", "p99 during"
        for (c = 1; c <= changes[0]; c++) {
            $0 = changes[c]
            printf "%-8s %-8s %-14s %8s %8.0f %9.0f %7d %7d %10.0f %10.0f\n", field("set"),
                field("server"), field("how"),
                field("change") < 0 ? "never" : sprintf("%.3f", field("change")),
                field("loaded_kib") / 1024, field("peak_kib") / 1024, field("lost_during"),
                field("sent"), field("p99_before"), field("p99")
        }
    }
    for (w = 1; w <= items["witness"]; w++) {
        printf "\nanswers a second as %s counts them, set small:", items["witness", w]
        for (i = 1; i <= items["server"]; i++) {
            server = items["server", i]
            if ((items["witness", w], server) in witness) {
                printf " %s %d;", server, witness[items["witness", w], server]
            }
        }
        print ""
    }
}
