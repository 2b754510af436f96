// SPDX-License-Identifier: BSD-3-Clause
// The API over TCP: certificate, key, tokens.

#include "dataplane/preflight_rows.h"
#include "http/server.h"

void check_api(struct checks *c)
{
	const struct config_api *api = &c->config->api;
	char why[HTTP_WHY_BYTES];

	if (api->listen[0] == '\0')
		check_add(c, CHECK_SKIP, "api over TCP", "not configured");
	else if (http_tcp_check(api, why) == 0)
		check_add(c, CHECK_OK, "api over TCP", "TLS and tokens for %s", api->listen);
	else
		check_add(c, CHECK_FAIL, "api over TCP", "%s", why);
}
