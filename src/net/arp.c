/* SPDX-License-Identifier: Apache-2.0 */
/* ARP for our own addresses (RFC 826), with the caution of RFC 5227. */
#include "net/net_internal.h"

#define ARP_BYTES   28
#define ARP_REQUEST 1
#define ARP_REPLY   2

static const uint8_t broadcast_mac[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t zero_mac[6];

struct arp_message {
	uint16_t operation;
	const uint8_t *destination_mac; /* of the frame */
	const uint8_t *sender_ip;       /* 4 bytes */
	const uint8_t *target_mac;
	const uint8_t *target_ip;
	uint16_t vlan;
};

static void arp_send(struct net *net, const struct arp_message *message)
{
	static const uint8_t head[6] = {0, 1, 8, 0, 6, 4}; /* Ethernet, IPv4, their lengths */
	struct packet packet;
	uint8_t *at;

	if (!net->netif->ops->allocate(net->netif, &packet)) {
		counter_add(&net->counters.no_packet_memory, 1);
		return;
	}
	at = packet.data;
	memcpy(at, message->destination_mac, 6);
	memcpy(at + 6, net->netif->mac, 6);
	at += 12;
	if (message->vlan != NET_NO_VLAN) {
		store_be16(at, ETH_TYPE_VLAN);
		store_be16(at + 2, message->vlan);
		at += 4;
	}
	store_be16(at, ETH_TYPE_ARP);
	memcpy(at + 2, head, 6);
	store_be16(at + 8, message->operation);
	memcpy(at + 10, net->netif->mac, 6);
	memcpy(at + 16, message->sender_ip, 4);
	memcpy(at + 20, message->target_mac, 6);
	memcpy(at + 26, message->target_ip, 4);
	packet.length = (uint16_t)(at + 30 - packet.data);
	counter_add(&net->counters.frames_sent, 1);
	net->netif->ops->transmit(net->netif, &packet);
}

void arp_send_probe(struct net *net, const struct ip_address *address)
{
	static const uint8_t no_ip[4];

	arp_send(net, &(struct arp_message){
	                  .operation = ARP_REQUEST,
	                  .destination_mac = broadcast_mac,
	                  .sender_ip = no_ip,
	                  .target_mac = zero_mac,
	                  .target_ip = address->bytes + 12,
	                  .vlan = NET_NO_VLAN,
	              });
}

void arp_send_announcement(struct net *net, const struct ip_address *address)
{
	arp_send(net, &(struct arp_message){
	                  .operation = ARP_REQUEST,
	                  .destination_mac = broadcast_mac,
	                  .sender_ip = address->bytes + 12,
	                  .target_mac = zero_mac,
	                  .target_ip = address->bytes + 12,
	                  .vlan = NET_NO_VLAN,
	              });
}

void arp_input(struct net *net, const struct net_frame *frame, uint64_t now_us)
{
	static const uint8_t head[6] = {0, 1, 8, 0, 6, 4};
	static const uint8_t no_ip[4];
	const uint8_t *arp = frame->l3;
	struct ip_address sender, target;
	struct net_address *ours;
	uint16_t operation;

	if (frame->l3_length < ARP_BYTES || memcmp(arp, head, 6) != 0)
		goto bad;
	operation = load_be16(arp + 6);
	if ((operation != ARP_REQUEST && operation != ARP_REPLY) || (arp[8] & 1) != 0)
		goto bad;
	if (memcmp(arp + 8, net->netif->mac, 6) == 0)
		return; /* our own, looped back */
	sender = ip_address_from_ip4(arp + 14);
	target = ip_address_from_ip4(arp + 24);
	ours = net_address_find(net, &sender);
	if (ours != NULL) {
		net_address_conflict(net, ours, now_us);
		return;
	}
	ours = net_address_find(net, &target);
	if (ours == NULL || operation != ARP_REQUEST)
		return;
	/* RFC 5227 2.1.1: another node probes for the address that we are probing for */
	if (ours->state == NET_ADDRESS_PROBING && memcmp(arp + 14, no_ip, 4) == 0)
		net_address_conflict(net, ours, now_us);
	if (ours->state != NET_ADDRESS_READY)
		return;
	arp_send(net, &(struct arp_message){
	                  .operation = ARP_REPLY,
	                  .destination_mac = frame->source_mac,
	                  .sender_ip = arp + 24,
	                  .target_mac = arp + 8,
	                  .target_ip = arp + 14,
	                  .vlan = frame->vlan,
	              });
	counter_add(&net->counters.arp_replies_sent, 1);
	return;

bad:
	counter_add(&net->counters.arp_bad, 1);
}
