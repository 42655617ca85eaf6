# What rrdns aims at, what this run measured, and whether that is met. Every line is a ratio within
# the run, or a time; medians over the rounds. Read after common.awk.

function line(what, measured, met) {
    printf "%-62s %-36s %s\n", what, measured == "" ? "-" : measured,
        measured == "" ? "not measured" : met ? "met" : "NOT MET"
    lines[measured == "" ? "not measured" : met ? "met" : "not met"]++
}

function at_most(what, measured, limit, format, more) {
    line(what, measured == "" ? "" : sprintf(format, measured) more, measured <= limit)
}

function at_least(what, measured, limit, format, more) {
    line(what, measured == "" ? "" : sprintf(format, measured) more, measured >= limit)
}

function is_small(set) {
    return set ~ /^small/
}

# Where gdnsd gives less than it is asked for in more than one answer in ten (it follows no CNAME,
# it knows no DS), its time is no measure.
function gdnsd_right(set,   part) {
    if (!((set, "gdnsd") in agrees)) {
        return 1
    }
    split(agrees[set, "gdnsd"], part, "/")
    return part[1] >= 0.9 * part[2]
}

function udp(set,   m) {
    m = median(set, "rrdnsd", "cpu")
    if (gdnsd_right(set)) {
        at_most(set ": CPU per answer, at most 1.00 x gdnsd's",
            ratio(set, "rrdnsd", "cpu", set, "gdnsd"), 1.00, "%.3f x",
            (set, "gdnsd") in agrees ? " (agrees in " agrees[set, "gdnsd"] ")" : "")
    } else {
        printf "%-62s %-36s %s\n", set ": CPU per answer, at most 1.00 x gdnsd's",
            sprintf("%.3f x", ratio(set, "rrdnsd", "cpu", set, "gdnsd")),
            "not asked: it agrees in " agrees[set, "gdnsd"]
    }
    at_most(set ": CPU per answer, at most " (is_small(set) ? "1.10" : "1.15") " x the limit",
        median(set, "rrdnsd", "times"), is_small(set) ? 1.10 : 1.15, "%.3f x")
    at_most(set ": user time per answer, at most " (is_small(set) ? "0.2" : "0.7") " us",
        median(set, "rrdnsd", "user"), is_small(set) ? 0.2 : 0.7, "%.3f us")
}

function tcp(   who) {
    who = best("tcp-pipe", "qps", -1)
    at_least("tcp-pipe: answers a second, at least 5 x the best peer's",
        ratio("tcp-pipe", "rrdnsd", "qps", "tcp-pipe", who), 5, "%.2f x", " (" who ")")
    who = best("tcp-one", "cpu", 1)
    at_most("tcp-one: CPU per answer, at most 1.0 x the best peer's",
        ratio("tcp-one", "rrdnsd", "cpu", "tcp-one", who), 1, "%.3f x", " (" who ")")
    who = best("tcp-conn", "cpu", 1)
    at_most("tcp-conn: CPU per answer, at most 1.0 x the best peer's",
        ratio("tcp-conn", "rrdnsd", "cpu", "tcp-conn", who), 1, "%.3f x", " (" who ")")
}

function loading(data,   who, how, h, names, m, peer) {
    split("one both", names, " ")
    for (h = 1; h <= 2; h++) {
        how = "load " data " " names[h]
        who = best(how, "seconds", 1)
        at_least("load " data ", " (h == 1 ? "one processor" : "two processors") \
            ": at least 3 x faster than the fastest", ratio(how, who, "seconds", how, "rrdnsd"), 3,
            "%.2f x", " (" who ")")
    }
    who = best("load " data, "pss", 1)
    m = median("load " data, "rrdnsd", "pss")
    peer = median("load " data, who, "pss")
    at_most("load " data ": memory, at most the leanest peer's",
        m == "" || peer == "" ? "" : m / peer, 1, "%.2f x", " (" who ")")
}

function reload(   set, who, m, worst, before) {
    set = "reload reload"
    who = best(set, "seconds", 1)
    at_least("reload of 1M delegations: at least 3 x faster than the fastest",
        ratio(set, who, "seconds", set, "rrdnsd"), 3, "%.2f x", " (" who ")")
    at_most("  questions lost: none", most(set, "rrdnsd", "lost"), 0, "%d")
    # Of each the quietest round's: others on the machine can make a wait longer, never shorter. Idle
    # is what of before and after is the quieter.
    before = least(set, "rrdnsd", "p99 before")
    m = least(set, "rrdnsd", "p99 during")
    worst = least(set, "rrdnsd", "p99 after")
    m = before == "" ? "" : m > worst ? m : worst
    at_most("  p99 during and after, at most 1.5 x idle",
        m == "" ? "" : m / (before < worst ? before : worst), 1.5, "%.2f x")
    at_most("  peak memory, under twice the loaded plus the file",
        ratio_of(set, "peak", "allowed"), 1, "%.2f of that")
}

# The median of rrdnsd's one figure by its other of the same round.
function ratio_of(set, above, below,   list, n, r) {
    n = 0
    for (r = 1; r <= last_round; r++) {
        if ((set, "rrdnsd", below, r) in value && value[set, "rrdnsd", below, r] > 0) {
            insert(list, ++n, value[set, "rrdnsd", above, r] / value[set, "rrdnsd", below, r])
        }
    }
    return middle(list, n)
}

function most(set, server, figure,   list, n) {
    n = collect(set, server, figure, list)
    return n > 0 ? list[n] : ""
}

function least(set, server, figure,   list, n) {
    n = collect(set, server, figure, list)
    return n > 0 ? list[1] : ""
}

function grown(   largest, i, m) {
    for (i = 1; i <= items["grown"]; i++) {
        if (items["grown", i] != "echo" && items["grown", i] + 0 > largest + 0) {
            largest = items["grown", i]
        }
    }
    m = ratio("grow", largest, "cpu", "grow", "1000")
    line("CPU per answer, 1,000 to 10 million names: under 1.3 x",
        m == "" ? "" : sprintf("%.3f x at %d names", m, largest), m < 1.3 && largest >= 10000000)
}

# Either the answers grow, or there is no processor left for more of them: the machine is busy, with
# the load generators too, and the second worker makes no answer dearer.
function workers(   growth, share, cost, idle, limit) {
    growth = ratio("workers 2", "rrdnsd", "qps", "workers 1", "rrdnsd")
    share = ratio("workers 2", "rrdnsd", "qps", "workers 2", "echo")
    cost = ratio("workers 2", "rrdnsd", "cpu", "workers 1", "rrdnsd")
    idle = median("workers 2", "rrdnsd", "idle")
    limit = growth < 1.9 && cost > 0 && 2 / cost >= 1.9 && idle <= 5
    line("from 1 to 2 workers: answers 1.9 x, or the generator's limit",
        growth == "" ? "" : sprintf("%.2f x%s", growth, limit ? "; the load generator's limit" : ""),
        growth >= 1.9 || limit)
    if (growth != "") {
        printf "  (an answer costs %.3f x of one worker's: two whole processors would give %.2f x;" \
            " there were\n  %.0f %% left idle; two workers answer %.2f of what two echo responders" \
            " do there)\n", cost, 2 / cost, idle, share
    }
}

function restart(data, what,   names, h, m) {
    split("one both", names, " ")
    for (h = 1; h <= 2; h++) {
        m = median("restart " data " images " names[h], "rrdnsd", "seconds")
        at_most("restart from images, " what ", " \
            (h == 1 ? "one processor" : "two processors") ": under 1 s", m, 1, "%.3f s")
    }
}

# What there would be with openssl's signatures and the limit's sockets, and nothing else.
function signing_bound(   list, n, r, echo, openssl) {
    n = 0
    for (r = 1; r <= last_round; r++) {
        if (("sign-flood", "echo", "cpu", r) in value &&
            ("sign-flood", "openssl", "rate", r) in value) {
            echo = value["sign-flood", "echo", "cpu", r]
            openssl = value["sign-flood", "openssl", "rate", r]
            insert(list, ++n, 1 / (1 + echo * openssl / 1000))
        }
    }
    if (n > 0) {
        printf "  (a signature and the limit of the sockets together would make %.3f)\n", \
            middle(list, n)
    }
}

function signed(   ways, w, m) {
    at_most("sign-hits: CPU per answer, at most 1.15 x the limit",
        median("sign-hits", "rrdnsd@compact", "times"), 1.15, "%.3f x")
    # Both by processor time, which is also what openssl speed divides by.
    at_least("sign-flood, compact: signatures, at least 0.85 of openssl's",
        ratio("sign-flood", "rrdnsd@compact", "rate", "sign-flood", "openssl"), 0.85, "%.3f")
    signing_bound()
    at_most("sign-flood, NSEC: CPU per answer, at most 1.3 x the limit",
        median("sign-flood", "rrdnsd@nsec", "times"), 1.3, "%.3f x")
    split("closed open", ways, " ")
    for (w = 1; w <= 2; w++) {
        m = "sign-mixed, compact, " (w == 1 ? "48 new names at a time" : "a flood beyond capacity")
        at_most(m ": p99 2 ms over idle",
            median("sign-mixed " ways[w], "rrdnsd@compact", "later"), 2, "%.2f ms")
        at_most("  questions lost: none", most("sign-mixed " ways[w], "rrdnsd@compact", "lost"), 0,
            "%d")
    }
}

# Of both sets, what was asked flat out and at a fixed rate.
function proxied(   relay, s, sets) {
    relay = median("proxy-misses", "relay", "times")
    at_most("proxy-hits: CPU per answer, at most 1.10 x the limit",
        median("proxy-hits", "rrdnsd", "times"), 1.10, "%.3f x")
    at_most("proxy-misses: CPU per answer, at most 2.4 x the limit",
        median("proxy-misses", "rrdnsd", "times"), 2.4, "%.3f x",
        relay == "" ? "" : sprintf(" (a bare relay: %.3f x)", relay))
    split("proxy-hits proxy-misses", sets, " ")
    for (s = 1; s <= 2; s++) {
        at_least("  " sets[s] ": right answers, per cent: all", least(sets[s], "rrdnsd", "right"),
            100, "%.3f")
        at_most("  " sets[s] ": lost at a fixed rate: none", most(sets[s], "rrdnsd", "lost"), 0,
            "%d")
    }
}

END {
    count_times()
    print "\ntargets: medians of this run"
    if (scaled) {
        print "NOTE: the zones were smaller than the targets mean them (BENCH_SCALE)"
    }
    split("small small-do tld tld-nx tld-do hosts big", sets, " ")
    for (s = 1; s <= 7; s++) {
        udp(sets[s])
    }
    tcp()
    loading("tld")
    loading("hosts")
    loading("big")
    at_most("one zone of 100,000 changed, rrdnsctl reload ZONE: in 40 ms",
        ms("change reload_zone"), 40, "%.1f ms")
    at_most("one zone of 100,000 changed, found by SIGHUP: in 300 ms",
        ms("change reload_signal"), 300, "%.1f ms")
    reload()
    grown()
    workers()
    restart("hosts", "100,000 zones")
    restart("big10", "10M names")
    signed()
    proxied()
    if (no_images != "") {
        print "  (" no_images ")"
    }
    printf "met: %d; not met: %d; not measured: %d\n", lines["met"], lines["not met"],
        lines["not measured"]
}

function ms(set,   m) {
    m = median(set, "rrdnsd", "seconds")
    return m == "" ? "" : m * 1000
}
