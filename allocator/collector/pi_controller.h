/*
 * A proportional-integral controller. The pacer uses it to smooth a measured value: the input is
 * the estimate so far, the set point is the newest measurement, the output is the next estimate. It
 * takes most of a lasting change in one step and little of noise.
 * Source: Go 1.19, runtime/mgcpacer.go; the reset term is the usual back-calculation against
 * wind-up.
 */
#ifndef SPANHEAP_PI_CONTROLLER_H
#define SPANHEAP_PI_CONTROLLER_H

#include <stdbool.h>

struct pi_controller {
    double gain;          /* share of an error that is answered at once */
    double integral_time; /* periods in which the integral answers as much again; > 0 */
    double reset_time;    /* periods in which the integral forgets what was clipped; > 0 */
    double min, max;      /* of the output */
    double integral;      /* of the error so far; starts at 0 */
};

/**
 * One step of `period` periods. Writes the next output, within [min, max]. Returns false, with
 * *output = min and the integral forgotten, when the numbers went beyond what a double holds.
 */
bool pi_controller_step(struct pi_controller *c, double input, double set_point, double period,
                        double *output);

#endif
