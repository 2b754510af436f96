// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Who may do what with the nodes that senders, who have no credentials, are to find: ours, and
// everybody reads. In one place: the control process and the supervisors both make such nodes.

#include <zookeeper/zookeeper.h>

static inline const struct ACL_vector *shown_acl(void)
{
	static struct ACL list[2];
	static const struct ACL_vector acl = {.count = 2, .data = list};

	list[0] = (struct ACL){ZOO_PERM_ALL, ZOO_AUTH_IDS};
	list[1] = (struct ACL){ZOO_PERM_READ, ZOO_ANYONE_ID_UNSAFE};
	return &acl;
}
