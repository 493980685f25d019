#include "collector/pi_controller.h"

#include <math.h>

static bool
reset(struct pi_controller *c, double *output)
{
    c->integral = 0;
    *output = c->min;
    return false;
}

static double
clip(const struct pi_controller *c, double x)
{
    if (x < c->min)
        return c->min;
    return x > c->max ? c->max : x;
}

bool
pi_controller_step(struct pi_controller *c, double input, double set_point, double period,
                   double *output)
{
    double error = set_point - input;
    double raw = c->gain * error + c->integral;
    if (!isfinite(raw))
        return reset(c, output);
    *output = clip(c, raw);
    c->integral +=
        c->gain * period / c->integral_time * error + period / c->reset_time * (*output - raw);
    return isfinite(c->integral) || reset(c, output);
}
