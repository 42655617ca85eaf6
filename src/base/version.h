/* The version, as the programs and the control socket tell it. */
#ifndef RRDNS_BASE_VERSION_H
#define RRDNS_BASE_VERSION_H

#define RRDNS_VERSION "0.1.0"

#endif
