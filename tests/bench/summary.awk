# The table that README has: rrdnsd, the best of the peers, and the limit, where there is one.
# Medians of the run. Read after common.awk.

function cell(set, server, figure, format,   m) {
    m = server == "" ? "" : median(set, server, figure)
    return m == "" ? "-" : sprintf(format, m)
}

# A row, under its heading; nothing of it measured: no row, and no heading without one.
function row(what, set, figure, format, sign, limit,   who, text) {
    who = best(set, figure, sign)
    if (median(set, "rrdnsd", figure) == "") {
        return
    }
    if (heading != "") {
        print "    " heading
        heading = ""
    }
    text = sprintf("    %-40s %8s %10s %-7s %8s", what, cell(set, "rrdnsd", figure, format),
        cell(set, who, figure, format), without_way(who), limit ? cell(set, "echo", figure, format) : "")
    sub(/ +$/, "", text)
    print text
}

function without_way(server) {
    sub(/@.*/, "", server)
    return server
}

# The same of rrdnsd's compact denial.
function sign_row(what, set, figure, format, sign,   r) {
    for (r = 1; r <= last_round; r++) {
        if ((set, "rrdnsd@compact", figure, r) in value) {
            set_value(set, "rrdnsd", figure, r, value[set, "rrdnsd@compact", figure, r])
        }
    }
    row(what, set, figure, format, sign, figure == "cpu")
}

function head(what) {
    heading = what
}

END {
    printf "\nsummary: %s\n\n", made_on
    printf "    %-40s %8s %10s %-7s %8s\n", "", "rrdnsd", "best peer", "", "limit"
    head("UDP, us of one core per answer")
    row("  small zone", "small", "cpu", "%.2f", 1, 1)
    row("  small zone, DO", "small-do", "cpu", "%.2f", 1, 1)
    row("  1 million delegations", "tld", "cpu", "%.2f", 1, 1)
    row("  1 million delegations, NXDOMAIN", "tld-nx", "cpu", "%.2f", 1, 1)
    row("  1 million delegations, DO", "tld-do", "cpu", "%.2f", 1, 1)
    row("  100,000 zones", "hosts", "cpu", "%.2f", 1, 1)
    row("  one zone of 1 million names", "big", "cpu", "%.2f", 1, 1)
    sign_row("  signed while asked, answers kept", "sign-hits", "cpu", "%.2f", 1)
    row("  forwarded, from the cache", "proxy-hits", "cpu", "%.2f", 1, 1)
    row("  forwarded, new names", "proxy-misses", "cpu", "%.2f", 1, 1)
    head("Signed while asked, a flood of new names, 1000 answers a second")
    sign_row("  a signature for each (compact)", "sign-flood", "full", "%.0f", -1)
    head("TCP, 1000 answers a second")
    row("  many questions at once", "tcp-pipe", "qps", "%.0f", -1, 1)
    row("  one at a time", "tcp-one", "qps", "%.0f", -1, 1)
    row("  a connection for each", "tcp-conn", "qps", "%.1f", -1, 1)
    head("Loading, seconds on one core")
    row("  1 million delegations", "load tld one", "seconds", "%.2f", 1)
    row("  100,000 zones", "load hosts one", "seconds", "%.2f", 1)
    row("  one zone of 1 million names", "load big one", "seconds", "%.2f", 1)
    head("Memory then, MiB")
    row("  1 million delegations", "load tld", "pss", "%.0f", 1)
    row("  100,000 zones", "load hosts", "pss", "%.0f", 1)
    row("  one zone of 1 million names", "load big", "pss", "%.0f", 1)
    head("Changes under load, seconds to the new serial")
    row("  1 million delegations reloaded", "reload reload", "seconds", "%.2f", 1)
    row("  one zone of 100,000, told by name", "change reload_zone", "seconds", "%.3f", 1)
    row("  one zone of 100,000, by SIGHUP", "change reload_signal", "seconds", "%.3f", 1)
    head("Restart from images, seconds on one core")
    row("  100,000 zones", "restart hosts images one", "seconds", "%.2f", 1)
    row("  one zone of 10 million names", "restart big10 images one", "seconds", "%.2f", 1)
}
