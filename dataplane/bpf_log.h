// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// AF_XDP's driver brings libbpf and libxdp with it, which talk to stderr by themselves, also where
// nothing is wrong. Control thread.

// Takes over what they say, if they are loaded.
void bpf_log_take(void);

// Their last complaint since bpf_log_take(), "" when there was none.
const char *bpf_log_last(void);
