/* SPDX-License-Identifier: BSD-3-Clause */

/* Numbers and messages as 1.1's scripts, written in Python, show them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kselftest_harness.h>

#include "compat11/compat11.h"

TEST(numbers)
{
	static const struct {
		double value;
		const char *text;
	} cases[] = {
		{ 0, "0.0" },
		{ 1, "1.0" },
		{ -2.5, "-2.5" },
		{ 120000, "120000.0" },
		{ 0.1, "0.1" },
		{ 0.1f, "0.10000000149011612" },
		{ 1.0 / 3, "0.3333333333333333" },
		{ 12345678.9f, "12345679.0" },
		{ 0.0001, "0.0001" },
		{ 0.00001, "1e-05" },
		{ 1.5e-7, "1.5e-07" },
		{ 9999999999999998, "9999999999999998.0" },
		{ 1e16, "1e+16" },
		{ 3e20f, "3.000000060122632e+20" },
		{ 1.7976931348623157e308, "1.7976931348623157e+308" },
		{ INFINITY, "inf" },
		{ -INFINITY, "-inf" },
		{ NAN, "nan" },
	};
	char buf[REAL_TEXT_MAX];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		EXPECT_STREQ(cases[i].text, text_real(cases[i].value, buf));
}

/* What text_format_print() writes. */
static char *printed(const ProtobufCMessage *message)
{
	static char text[1024];
	FILE *file = tmpfile();
	const int out = dup(STDOUT_FILENO);
	size_t n;

	if (!file || out < 0)
		abort();
	fflush(stdout);
	dup2(fileno(file), STDOUT_FILENO);
	text_format_print(message);
	fflush(stdout);
	dup2(out, STDOUT_FILENO);
	close(out);
	rewind(file);
	n = fread(text, 1, sizeof(text) - 1, file);
	text[n] = '\0';
	fclose(file);
	return text;
}

TEST(messages)
{
	Virtioforwarder__StatsResponse stats = VIRTIOFORWARDER__STATS_RESPONSE__INIT;
	Virtioforwarder__RelayState relay = VIRTIOFORWARDER__RELAY_STATE__INIT;
	Virtioforwarder__RelayState *relays[] = { &relay };
	Virtioforwarder__RelayState__VHOST vhost = VIRTIOFORWARDER__RELAY_STATE__VHOST__INIT;
	Virtioforwarder__RelayState__VFtoVM up = VIRTIOFORWARDER__RELAY_STATE__VFTO_VM__INIT;
	Virtioforwarder__RelayState__VMtoVF down = VIRTIOFORWARDER__RELAY_STATE__VMTO_VF__INIT;
	uint32_t cpus[] = { 1, 130 };

	stats.relay = relays;
	stats.n_relay = 1;
	relay.id = 63;
	relay.active = true;
	relay.vhost = &vhost;
	relay.vf_to_vm = &up;
	relay.vm_to_vf = &down;
	vhost.vhost_socket_name = (char *)"/tmp/\xc3\xa4\"'\\\n\x01";
	up.internal_state = (char *)"DPDK_READY";
	up.has_pkts_rx_from_vf = true;
	up.pkts_rx_from_vf = UINT64_MAX;
	up.cpus = cpus;
	up.n_cpus = 2;
	down.internal_state = (char *)"";
	EXPECT_STREQ("status: OK\n"
		     "relay {\n"
		     "  id: 63\n"
		     "  active: true\n"
		     "  vhost {\n"
		     "    vhost_socket_name: \"/tmp/\\303\\244\\\"\\'\\\\\\n\\001\"\n"
		     "  }\n"
		     "  vf_to_vm {\n"
		     "    active: false\n"
		     "    internal_state: \"DPDK_READY\"\n"
		     "    pkts_rx_from_vf: 18446744073709551615\n"
		     "    pkt_rate_rx_from_vf: 0.0\n"
		     "    byte_rate_rx_from_vf: 0.0\n"
		     "    pkt_rate_tx_to_vm: 0.0\n"
		     "    byte_rate_tx_to_vm: 0.0\n"
		     "    cpus: 1\n"
		     "    cpus: 130\n"
		     "  }\n"
		     "  vm_to_vf {\n"
		     "    active: false\n"
		     "    internal_state: \"\"\n"
		     "    pkt_rate_rx_from_vm: 0.0\n"
		     "    byte_rate_rx_from_vm: 0.0\n"
		     "    pkt_rate_tx_to_vf: 0.0\n"
		     "    byte_rate_tx_to_vf: 0.0\n"
		     "  }\n"
		     "  socket_id: 0\n"
		     "}\n",
		     printed(&stats.base));
}

TEST(a_refusal)
{
	Virtioforwarder__PortControlResponse response =
		VIRTIOFORWARDER__PORT_CONTROL_RESPONSE__INIT;

	response.status = VIRTIOFORWARDER__PORT_CONTROL_RESPONSE__STATUS__ERROR;
	response.has_error_code = true;
	response.error_code = 17;
	response.error_code_source = (char *)"pci_addrs";
	EXPECT_STREQ("status: ERROR\nerror_code: 17\nerror_code_source: \"pci_addrs\"\n",
		     printed(&response.base));
}

TEST_HARNESS_MAIN
