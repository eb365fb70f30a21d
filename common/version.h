/*
 * version.h — which reelbus this is.
 *
 * Way:  common
 */
#pragma once

#define RB_VERSION "0.1.0"
