/*
 * What `rrdnsctl dnssec` tells of a zone's signing, as JSON.
 */
#ifndef RRDNS_DAEMON_CONTROL_DNSSEC_H
#define RRDNS_DAEMON_CONTROL_DNSSEC_H

#include <stdint.h>

#include <jansson.h>

#include "dnssec/signing.h"

/*
 * Keys with their states, when that changes next, DS and CDS records, figures of the signatures
 * kept. now is the wall time. NULL where there is no memory.
 */
json_t *control_dnssec_json(const struct signing *signing, int64_t now);

#endif
