/*
 * How much of a batch's time goes into fresh signatures. Costs are in signatures by a P-256 key.
 */
#ifndef RRDNS_SERVE_BUDGET_H
#define RRDNS_SERVE_BUDGET_H

#include <stdbool.h>

struct budget {
    unsigned left;
    unsigned zone; /* the most that a zone may use */
    unsigned used; /* in all */
    bool few;      /* datagrams wait: the first answer is signed whatever it costs */
};

/* A batch's, with so many datagrams waiting behind it. */
struct budget budget_for(unsigned waiting);

/* Takes cost from it for a zone that has used *zone so far; false, and nothing taken, where that is
 * more than there is or than the zone may use, and it isn't the first where few wait. */
bool budget_take(struct budget *budget, unsigned *zone, unsigned cost);

/* Takes what may be more than there is. */
void budget_overdraw(struct budget *budget, unsigned cost);

/* What the zones' shares left over is for any of them. */
void budget_share_rest(struct budget *budget);

#endif
