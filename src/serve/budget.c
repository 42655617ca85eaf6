#include "serve/budget.h"

#include <limits.h>

enum {
    /*
     * Made for a batch: a millisecond (20 us each), the longest that the next batch waits for this
     * one's. Three quarters are what a zone may have of it before the others had what they want;
     * what they leave is for all. With P-384 one signature is more than that, and with others a
     * proof is: where few wait, the first is made whatever it costs, three milliseconds. Else such
     * zones would say TC to everybody.
     */
    BUDGET_MOST = 48,
    ZONE_QUARTERS = 3,
    /*
     * Datagrams that wait in the socket. Up to a few, one batch, all of the budget is spent; the
     * more there are the less, with many the least, and where it is deep nothing, until the queue
     * is short again. So a flood that needs signatures gets the time that the others leave, and
     * queries wait no longer than for some 100 others. Measured with 2,000 kept names a second
     * beside 150,000 new ones: their p99 is 2.3 ms above that without the flood (in NSEC mode, where
     * nothing fresh is signed, it is about as much), none is lost, and the core gives some 17,000
     * answers a second in full and refuses the rest.
     */
    WAITING_FEW = 64,
    WAITING_MANY = 160,
    WAITING_DEEP = 320, /* a batch's least would only make what was held up later still */
    /*
     * The least is not nothing: a new server whose clients keep more than that waiting would never
     * have the signatures that make it fast. Measured with 192 questions open, for 900 names of
     * which none was signed, on one core: with nothing, 203,000 of the 211,000 answers in the first
     * second were refusals and 198 signatures made; with this, 6,000 to 8,000 of 189,000 to
     * 223,000, and all 900. It takes a sixth of a batch's time.
     */
    BUDGET_LEAST = 2,
};

struct budget budget_for(unsigned waiting)
{
    unsigned most = BUDGET_MOST;
    if (waiting >= WAITING_DEEP) {
        most = 0;
    } else if (waiting >= WAITING_MANY) {
        most = BUDGET_LEAST;
    } else if (waiting > WAITING_FEW) {
        most = BUDGET_MOST * (WAITING_MANY - waiting) / (WAITING_MANY - WAITING_FEW);
        most = most > BUDGET_LEAST ? most : BUDGET_LEAST;
    }
    return (struct budget){
        .left = most, .zone = (most * ZONE_QUARTERS + 3) / 4, .few = most == BUDGET_MOST};
}

bool budget_take(struct budget *budget, unsigned *zone, unsigned cost)
{
    bool first = budget->few && budget->used == 0;
    if (!first && (cost > budget->left || *zone + cost > budget->zone)) {
        return false;
    }
    budget_overdraw(budget, cost);
    *zone += cost;
    return true;
}

void budget_overdraw(struct budget *budget, unsigned cost)
{
    budget->left -= cost < budget->left ? cost : budget->left;
    budget->used += cost;
}

void budget_share_rest(struct budget *budget)
{
    budget->zone = UINT_MAX;
}
