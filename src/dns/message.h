/*
 * Numbers of the DNS message: header bits, opcodes, classes, RCODEs, EDNS options, extended
 * errors. RFC 1035 section 4.1, 6891, 6895, 8914.
 */
#ifndef RRDNS_DNS_MESSAGE_H
#define RRDNS_DNS_MESSAGE_H

enum { MESSAGE_HEADER = 12, MESSAGE_MAX = 65535, MESSAGE_UDP_MIN = 512 };

/* In the 16-bit word after the ID. */
enum message_flags {
    FLAG_QR = 0x8000,
    FLAG_AA = 0x0400,
    FLAG_TC = 0x0200,
    FLAG_RD = 0x0100,
    FLAG_RA = 0x0080,
    FLAG_AD = 0x0020,
    FLAG_CD = 0x0010,
    FLAG_OPCODE_SHIFT = 11,
    FLAG_OPCODE_MASK = 0x7800,
};

enum opcode { OPCODE_QUERY = 0, OPCODE_IQUERY = 1, OPCODE_STATUS = 2, OPCODE_NOTIFY = 4,
              OPCODE_UPDATE = 5, OPCODE_DSO = 6 };

enum rrclass { CLASS_IN = 1, CLASS_CH = 3, CLASS_HS = 4, CLASS_NONE = 254, CLASS_ANY = 255 };

enum rcode {
    RCODE_NOERROR = 0,
    RCODE_FORMERR = 1,
    RCODE_SERVFAIL = 2,
    RCODE_NXDOMAIN = 3,
    RCODE_NOTIMP = 4,
    RCODE_REFUSED = 5,
    RCODE_YXDOMAIN = 6,
    RCODE_NOTAUTH = 9,
    RCODE_BADVERS = 16,
    RCODE_BADCOOKIE = 23,
};

enum edns_flags { EDNS_DO = 0x8000, EDNS_CO = 0x4000 };

enum edns_option {
    EDNS_NSID = 3,       /* RFC 5001 */
    EDNS_COOKIE = 10,    /* RFC 7873 */
    EDNS_KEEPALIVE = 11, /* RFC 7828 */
    EDNS_PADDING = 12,   /* RFC 7830 */
    EDNS_EDE = 15,       /* RFC 8914 */
    EDNS_LOOP = 65313,   /* of the range for local use (RFC 6891 section 9): settings.loop_mark */
};

/* INFO-CODEs of RFC 8914 and its registry; EDE_NONE is ours for "say nothing". */
enum ede {
    EDE_NONE = -1,
    EDE_OTHER = 0,
    EDE_STALE = 3,
    EDE_PROHIBITED = 18,
    EDE_STALE_NXDOMAIN = 19,
    EDE_NOT_AUTHORITATIVE = 20,
    EDE_NOT_SUPPORTED = 21,
    EDE_NO_REACHABLE_AUTHORITY = 22,
    EDE_NETWORK_ERROR = 23,
    EDE_INVALID_DATA = 24,
    EDE_INVALID_QUERY_TYPE = 30, /* RFC 9824 section 3.4.1 */
};

#endif
