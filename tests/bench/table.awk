# From results.txt to tables: medians over the rounds, with the lowest and highest behind them.
#
# "x limit" is a server's processor time per answer divided by the echo responder's of the same
# round.

function spread(set, server, figure, format,   list, n) {
    n = collect(set, server, figure, list)
    if (n == 0) {
        return "-"
    }
    if (n == 1) {
        return sprintf(format, list[1])
    }
    return sprintf(format " (" format "-" format ")", middle(list, n), list[1], list[n])
}

function plain(set, server, figure, format,   m) {
    m = median(set, server, figure)
    return m == "" ? "-" : sprintf(format, m)
}

function print_set(set,   i, server) {
    printf "\n%s\n%-8s %-22s %6s %6s %7s  %-18s %-20s %5s %5s", set, "server", "us/answer",
        "user", "system", "softirq", "x limit", "1000 answers/s", "busy%", "right"
    print set ~ /^tcp/ ? "" : sprintf(" %8s %8s %5s %s", "p50 us", "p99 us", "lost", "agrees")
    for (i = 1; i <= items["server"] + 1; i++) {
        server = i <= items["server"] ? items["server", i] : "echo"
        if (median(set, server, "cpu") == "") {
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

function print_signed(set,   i, server) {
    printf "\n%s: signed while it is asked (signatures by second of processor time)\n", set
    printf "%-15s %-22s %6s %6s  %-18s %-20s %8s %-20s %5s\n", "server", "us/answer", "user",
        "system", "x limit", "1000 in full/s", "1000 TC", "1000 signatures/s", "right"
    for (i = 1; i <= items["signer"] + 1; i++) {
        server = i <= items["signer"] ? items["signer", i] : "echo"
        if (median(set, server, "cpu") == "") {
            continue
        }
        printf "%-15s %-22s %6s %6s  %-18s %-20s %8s %-20s %5s\n",
            server ((set, server) in noisy ? "*" : ""), spread(set, server, "cpu", "%.3f"),
            plain(set, server, "user", "%.2f"), plain(set, server, "system", "%.2f"),
            spread(set, server, "times", "%.2f"), spread(set, server, "full", "%.1f"),
            plain(set, server, "turned", "%.1f"),
            server ~ /^rrdnsd/ ? spread(set, server, "rate", "%.1f") : "",
            server == "echo" ? "" : plain(set, server, "right", "%.1f")
    }
    if (median(set, "openssl", "rate") != "") {
        printf "%-15s %80s %s\n", "openssl speed", "", spread(set, "openssl", "rate", "%.1f")
    }
}

# "forwarded" is what the upstream was asked for each answer, "idle" the share of time in which the
# load generator had nothing to do.
function print_proxied(set,   i, n, list, server) {
    printf "\n%s: %s\n", set, set == "proxy-hits" ? "forwarded once, and kept" : \
        "forwarded, every name a new one (@plain: without its cache)"
    printf "%-15s %-22s %6s %6s  %-18s %-20s %5s %5s %10s %8s %8s %5s %5s\n", "server", "us/answer",
        "user", "system", "x limit", "1000 answers/s", "busy%", "right", "forwarded%", "p50 us",
        "p99 us", "lost", "idle%"
    n = items["forwarder"]
    for (i = 1; i <= n; i++) {
        list[i] = items["forwarder", i]
    }
    list[++n] = "relay"
    list[++n] = "echo"
    for (i = 1; i <= n; i++) {
        server = list[i]
        if (median(set, server, "cpu") == "") {
            continue
        }
        printf "%-15s %-22s %6s %6s  %-18s %-20s %5s %5s %10s %8s %8s %5s %5s\n",
            server ((set, server) in noisy ? "*" : ""), spread(set, server, "cpu", "%.3f"),
            plain(set, server, "user", "%.2f"), plain(set, server, "system", "%.2f"),
            spread(set, server, "times", "%.2f"), spread(set, server, "qps", "%.0f"),
            plain(set, server, "busy", "%.0f"),
            server == "echo" ? "" : plain(set, server, "right", "%.1f"),
            server == "echo" ? "" : plain(set, server, "forwarded", "%.1f"),
            plain(set, server, "p50", "%.0f"), plain(set, server, "p99", "%.0f"),
            plain(set, server, "lost", "%.0f"), plain(set, server, "wait", "%.0f")
    }
}

function print_mixed(   m, set, i, server) {
    print "\nsign-mixed: names whose signatures are there, 2,000 a second; beside them nothing, 48" \
        " new names\nat a time, or more new names than anyone signs"
    printf "%-18s %-15s %-26s %8s %12s %14s\n", "beside", "server", "p99 us", "lost",
        "1000 new/s", "1000 in full/s"
    for (m = 1; m <= items["mixed"]; m++) {
        set = items["mixed", m]
        for (i = 1; i <= items["signer"]; i++) {
            server = items["signer", i]
            if (median(set, server, "p99") != "") {
                printf "%-18s %-15s %-26s %8s %12s %14s\n", set, server,
                    spread(set, server, "p99", "%.0f"), plain(set, server, "lost", "%.0f"),
                    plain(set, server, "flood", "%.1f"), plain(set, server, "full", "%.1f")
            }
        }
    }
}

function print_grow(   i, names) {
    print "\ngrow: rrdnsd with so many names in its zone, one after the other in each round"
    printf "%-10s %-22s %6s  %-20s %s\n", "names", "us/answer", "user", "1000 answers/s",
        "x the smallest zone's"
    for (i = 1; i <= items["grown"]; i++) {
        names = items["grown", i]
        printf "%-10s %-22s %6s  %-20s %s\n", names, spread("grow", names, "cpu", "%.3f"),
            plain("grow", names, "user", "%.2f"), spread("grow", names, "qps", "%.0f"),
            names == "echo" ? "" : sprintf("%.2f", ratio("grow", names, "cpu", "grow", "1000"))
    }
}

function print_loads(   i, server, d, data, how, sets) {
    print "\nloading: seconds to the first right answers, with one processor and with two; MiB" \
        " then (proportional set size)"
    printf "%-8s", "server"
    for (d = 1; d <= items["data"]; d++) {
        printf " %-22s", items["data", d]
    }
    print ""
    for (i = 1; i <= items["server"]; i++) {
        server = items["server", i]
        printf "%-8s", server
        for (d = 1; d <= items["data"]; d++) {
            data = items["data", d]
            printf " %-22s", (data, server) in failed ? "failed" : \
                plain("load " data " one", server, "seconds", "%.2f") " " \
                plain("load " data " both", server, "seconds", "%.2f") " " \
                plain("load " data, server, "pss", "%.0f")
        }
        print ""
    }
}

function print_changes(   c, set, i, server) {
    print "\nchanges under load: seconds to the new serial"
    printf "%-21s %-8s %-21s %7s %9s %5s %11s %11s %11s\n", "what", "server", "seconds", "MiB",
        "peak MiB", "lost", "p99 before", "p99 during", "p99 after"
    for (c = 1; c <= items["change"]; c++) {
        set = items["change", c]
        for (i = 1; i <= items["server"]; i++) {
            server = items["server", i]
            if (median(set, server, "loaded") == "") {
                continue
            }
            printf "%-21s %-8s %-21s %7s %9s %5s %11s %11s %11s\n", set, server,
                (set, server) in never ? "never" : spread(set, server, "seconds", "%.3f"),
                plain(set, server, "loaded", "%.0f"), plain(set, server, "peak", "%.0f"),
                plain(set, server, "lost", "%.0f"), plain(set, server, "p99 before", "%.0f"),
                plain(set, server, "p99 during", "%.0f"), plain(set, server, "p99 after", "%.0f")
        }
    }
}

function print_workers(   w, set, names, i) {
    print "\nworkers: rrdnsd with one and with two, and as many echo responders in the same places"
    printf "%-10s %-8s %-20s %-22s %6s %12s\n", "", "server", "1000 answers/s", "us/answer",
        "busy%", "machine idle%"
    for (w = 1; w <= items["workers"]; w++) {
        set = items["workers", w]
        split("rrdnsd echo", names, " ")
        for (i = 1; i <= 2; i++) {
            printf "%-10s %-8s %-20s %-22s %6s %12s\n", set, names[i],
                spread(set, names[i], "qps", "%.0f"), spread(set, names[i], "cpu", "%.3f"),
                plain(set, names[i], "busy", "%.0f"), plain(set, names[i], "idle", "%.0f")
        }
    }
}

function print_restarts(   r, set) {
    print "\nrestart: seconds to the first right answers"
    if (no_images != "") {
        print no_images
    }
    for (r = 1; r <= items["restart"]; r++) {
        set = items["restart", r]
        printf "%-30s %-20s %s MiB\n", set, spread(set, "rrdnsd", "seconds", "%.3f"),
            plain(set, "rrdnsd", "pss", "%.0f")
    }
}

END {
    count_times()
    print "machine: " machine
    print "servers:" versions
    if (took != "") {
        print "took " took " minutes"
    }
    if (noise > 0) {
        printf "NOTE: %d of %d measurements were disturbed by other work (marked *)\n", noise, runs
    }
    if (ticks > 0) {
        print "NOTE: time in user mode is by clock ticks, and coarse; as root it would be sampled"
    }
    for (s = 1; s <= items["set"]; s++) {
        if (items["set", s] ~ /^sign-/) {
            print_signed(items["set", s])
        } else if (items["set", s] ~ /^proxy-/) {
            print_proxied(items["set", s])
        } else if (items["set", s] != "grow") {
            print_set(items["set", s])
        }
    }
    if (items["mixed"] > 0) {
        print_mixed()
    }
    if (items["grown"] > 0) {
        print_grow()
    }
    if (items["workers"] > 0) {
        print_workers()
    }
    if (items["data"] > 0) {
        print_loads()
    }
    if (items["change"] > 0) {
        print_changes()
    }
    if (items["restart"] > 0 || no_images != "") {
        print_restarts()
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
