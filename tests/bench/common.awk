# What table.awk, targets.awk and chart.awk share: reading results.txt (tests/bench/run tells what
# the lines are) into figures by set, server and round.
#
# value[set, server, figure, round] is one measurement; medians go over the rounds. A ratio of two
# servers is taken in each round for itself, where they stood next to each other, and then the
# median: the machine changes its speed from minute to minute by more than servers differ.

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

function set_value(set, server, figure, round, number) {
    value[set, server, figure, round] = number + 0
    if (round > last_round) {
        last_round = round
    }
}

# Collects one figure's values over the rounds into list[1..n], sorted. Returns n.
function collect(set, server, figure, list,   n, r, i) {
    n = 0
    for (r = 1; r <= last_round; r++) {
        if ((set, server, figure, r) in value) {
            insert(list, ++n, value[set, server, figure, r])
        }
    }
    return n
}

# Puts a number into its place in list[1..n], which held n - 1.
function insert(list, n, number,   i) {
    for (i = n; i > 1 && list[i - 1] > number; i--) {
        list[i] = list[i - 1]
    }
    list[i] = number
}

function middle(list, n) {
    return n == 0 ? "" : n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
}

function median(set, server, figure,   list, n) {
    n = collect(set, server, figure, list)
    return middle(list, n)
}

# The median of a's figure in set_a by b's in set_b, round by round; "" where they share none.
function ratio(set_a, a, figure, set_b, b,   list, n, r, below) {
    n = 0
    for (r = 1; r <= last_round; r++) {
        if ((set_a, a, figure, r) in value && (set_b, b, figure, r) in value) {
            below = value[set_b, b, figure, r]
            if (below > 0) {
                insert(list, ++n, value[set_a, a, figure, r] / below)
            }
        }
    }
    return middle(list, n)
}

# The peer with the lowest (sign 1) or highest (sign -1) median of a figure; "" when none has one.
function best(set, figure, sign,   i, m, least, who) {
    who = ""
    for (i = 1; i <= peers[0]; i++) {
        m = median(set, peers[i], figure)
        if (m != "" && (who == "" || sign * m < least)) {
            least = sign * m
            who = peers[i]
        }
    }
    return who
}

# "times" becomes a figure: processor time per answer by the limit's of the same round.
function count_times(   s, i, r, set, server, limit) {
    for (s = 1; s <= items["set"]; s++) {
        set = items["set", s]
        for (i = 1; i <= items["measured"]; i++) {
            server = items["measured", i]
            for (r = 1; r <= last_round; r++) {
                # (To look at what is not there would make it be there.)
                if (!((set, "echo", "cpu", r) in value) || !((set, server, "cpu", r) in value)) {
                    continue
                }
                limit = value[set, "echo", "cpu", r]
                if (limit > 0) {
                    set_value(set, server, "times", r, value[set, server, "cpu", r] / limit)
                }
            }
        }
    }
}

function read_run(set, server,   round, wrong) {
    if (field("cpu") == "" || field("qps") == 0) {
        return
    }
    round = field("round") + 0
    remember("set", set)
    remember("measured", server)
    set_value(set, server, "cpu", round, field("cpu") + (apart ? field("softirq") : 0))
    if (field("how") != "short") { # too short for parts
        set_value(set, server, "user", round, field("user"))
        set_value(set, server, "system", round, field("system"))
        set_value(set, server, "softirq", round, field("softirq"))
        ticks += field("user_by") == "ticks"
    }
    set_value(set, server, "qps", round, field("qps") / 1000)
    set_value(set, server, "busy", round, field("busy") * 100)
    set_value(set, server, "wait", round, field("wait") * 100)
    wrong = field("lost") + field("bad_question") + field("bad_rcode") + field("empty") + \
        field("bad_record")
    set_value(set, server, "right", round, field("answered") / (field("answered") + wrong) * 100)
    runs++
    if (field("other") > 0.1 || field("self") < 0.9) {
        noisy[set, server]++
        noise++
    }
}

# A server that signs in one of its ways. "full" are answers that are no mere "ask by TCP" (TC),
# "rate" the signatures made for them by second of processor time, where the server tells.
function remember_signer(server) {
    if (server == "echo" || (("signer", server) in known)) {
        return
    }
    remember("signer", server)
    if (server !~ /^rrdnsd@/) {
        peers[++peers[0]] = server
    }
}

function read_sign(set, server, round,   full) {
    read_run(set, server)
    remember_signer(server)
    full = (field("answered") - field("truncated")) / field("seconds") / 1000
    set_value(set, server, "full", round, full)
    set_value(set, server, "turned", round, field("truncated") / field("seconds") / 1000)
    if (field("cpu") > 0) {
        set_value(set, server, "rate", round, field("fresh") / field("cpu") * 1000)
    }
}

# A server that forwards. "forwarded" is the share of questions that came to the upstream.
function read_proxy(set, server) {
    read_run(set, server)
    if (server != "echo" && server != "relay" && !(("forwarder", server) in known)) {
        remember("forwarder", server)
        if (server !~ /^(rrdnsd|knot)/) { # those are known from zones
            peers[++peers[0]] = server
        }
    }
    if (field("answered") > 0) {
        set_value(set, server, "forwarded", field("round") + 0,
            field("asked") / field("answered") * 100)
    }
}

function read_mixed(set, server, round) {
    remember("mixed", set)
    remember_signer(server)
    set_value(set, server, "p99", round, field("p99"))
    set_value(set, server, "lost", round, field("lost") + field("unsent") + field("bad_rcode") + \
        field("empty") + field("truncated"))
    set_value(set, server, "flood", round, field("flood_sent") / 1000)
    set_value(set, server, "full", round, field("flood_full") / 1000)
    if (set != "sign-mixed idle" && ("sign-mixed idle", server, "p99", round) in value) {
        set_value(set, server, "later", round,
            (field("p99") - value["sign-mixed idle", server, "p99", round]) / 1000)
    }
}

$1 == "machine" {
    machine = substr($0, 9)
    made_on = field("cpu") ", Linux " field("kernel") ", " field("date")
    gsub(/_/, " ", made_on)
    apart = field("softirq_apart") == "yes"
    scaled = field("scale") != 1
}
$1 == "server" {
    versions = versions " " field("name") " " field("version") ";"
    remember("server", field("name"))
    if (field("name") != "rrdnsd") {
        peers[++peers[0]] = field("name")
    }
}
$1 == "forwarder" { versions = versions " " field("name") " " field("version") ";" }
$1 == "proxy" { read_proxy(field("set"), field("server")) }
$1 == "run" { read_run(field("set"), field("server")) }
$1 == "grow" { read_run("grow", field("names")); remember("grown", field("names")) }
$1 == "sign" { read_sign(field("set"), field("server"), field("round") + 0) }
$1 == "openssl" { set_value("sign-flood", "openssl", "rate", field("round") + 0,
    field("signs") / 1000) }
$1 == "mixed" { read_mixed("sign-mixed " field("how"), field("server"), field("round") + 0) }
$1 == "latency" {
    set_value(field("set"), field("server"), "p50", field("round") + 0, field("p50"))
    set_value(field("set"), field("server"), "p99", field("round") + 0, field("p99"))
    set_value(field("set"), field("server"), "lost", field("round") + 0,
        field("lost") + field("unsent") + field("bad_record"))
}
$1 == "agree" { agrees[field("set"), field("server")] = field("same") "/" field("total") }
$1 == "load" && field("data") !~ /^big-/ { # those are only for growth
    set = "load " field("data") " " field("how")
    remember("data", field("data"))
    if (field("data") != "small") {
        remember("loading", set)
    }
    set_value(set, field("server"), "seconds", field("round") + 0, field("seconds"))
    set_value("load " field("data"), field("server"), "pss", ++pss_count[field("data"),
        field("server")], field("pss_kib") / 1024)
}
$1 == "failed" && field("data") != "proxied" { # there are no zones to load
    remember("data", field("data"))
    failed[field("data"), field("server")] = 1
}
$1 == "witness" {
    remember("witness", field("by"))
    witness[field("by"), field("server")] = field("qps")
}
$1 == "change" {
    set = field("set") " " field("how")
    remember("change", set)
    round = field("round") + 0
    if (field("change") < 0) {
        never[set, field("server")] = 1
    } else {
        set_value(set, field("server"), "seconds", round, field("change"))
    }
    set_value(set, field("server"), "loaded", round, field("loaded_kib") / 1024)
    set_value(set, field("server"), "peak", round, field("peak_kib") / 1024)
    set_value(set, field("server"), "allowed", round,
        (2 * field("loaded_kib") + field("file_kib")) / 1024)
    set_value(set, field("server"), "lost", round, field("lost_during"))
    set_value(set, field("server"), "p99 before", round, field("p99_before"))
    set_value(set, field("server"), "p99 during", round, field("p99_during"))
    set_value(set, field("server"), "p99 after", round, field("p99_after"))
}
$1 == "workers" {
    set = "workers " field("workers")
    server = field("server")
    round = field("round") + 0
    remember("workers", set)
    set_value(set, server, "qps", round, field("all_qps") / 1000)
    set_value(set, server, "cpu", round, field("cpu"))
    set_value(set, server, "busy", round, field("busy") * 100)
    set_value(set, server, "idle", round, field("idle") * 100)
}
$1 == "restart" {
    if (field("from") == "nothing") {
        no_images = field("why") != "" ? "this rrdnsd has no image cache" : "no images were written"
    } else {
        set = "restart " field("data") " " field("from") " " field("how")
        remember("restart", set)
        set_value(set, "rrdnsd", "seconds", field("round") + 0, field("seconds"))
        set_value(set, "rrdnsd", "pss", field("round") + 0, field("pss_kib") / 1024)
    }
}
$1 == "took" { took = field("minutes") }
