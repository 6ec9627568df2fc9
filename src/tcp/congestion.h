/* SPDX-License-Identifier: Apache-2.0 */
/* The congestion controls there are, by the names that the configuration uses. */
#pragma once

#define TCP_CONGESTION_CONTROLS(X)                                                                 \
	X(cubic)   /* RFC 9438, as Linux's default */                                              \
	X(newreno) /* RFC 5681 */

#define TCP_CONGESTION_VALUE(name) TCP_CONGESTION_##name,

enum tcp_congestion {
	TCP_CONGESTION_CONTROLS(TCP_CONGESTION_VALUE) TCP_CONGESTION_COUNT
};
