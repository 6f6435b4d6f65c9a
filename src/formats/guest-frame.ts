/** What one Ethernet frame between a guest and QEMU's user network tells of the guest's readiness. */

/** Ethernet addresses of the user network itself begin so (libslirp, `special_ethaddr`). */
const SLIRP_PREFIX = [0x52, 0x55] as const;
const ETHERNET = 14;
const IPV4 = 0x0800;
const ARP = 0x0806;
const ICMP = 1;
const TCP = 6;
const UDP = 17;
const SSH = 22;
const ECHO_REQUEST = 8;
const DHCP_SERVER = 67;
const DHCP_CLIENT = 68;
/** Start of the options in a BOOTP message, after the magic cookie (RFC 2131). */
const DHCP_OPTIONS = 240;
const MESSAGE_TYPE = 53;
const ACKNOWLEDGED = 5;

export type GuestFrame =
  /** The guest asks for an address. */
  | 'dhcp asked'
  /** The user network gave it one. */
  | 'dhcp given'
  /** The guest tells that it holds an IPv4 address (ARP), if only because it was asked. */
  | 'address used'
  /** A program of the guest's is at work: TCP of its own, or a ping, from an address it holds. */
  | 'work'
  /** The guest sends other IPv4 packets of its own from there: names it asks for, the time, what it announces. */
  | 'traffic'
  /** The guest takes a connection to its port 22, refuses one, or its server speaks. */
  | 'ssh accepts'
  | 'ssh refuses'
  | 'ssh speaks'
  /** Anything else from port 22: what it acknowledges is our own knocking. */
  | 'ssh answers'
  /** Anything else from the guest. */
  | 'other'
  /** Anything else from the user network. */
  | 'to guest';

/** Reads as much of a frame as is there; what is cut off or unknown is `other`. */
export function readGuestFrame(frame: Uint8Array): GuestFrame {
  if (frame.length < ETHERNET) return 'other';
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const fromGuest = SLIRP_PREFIX.some((byte, index) => frame[6 + index] !== byte);
  const rest: GuestFrame = fromGuest ? 'other' : 'to guest';
  const type = view.getUint16(12);
  // The sender's protocol address of an ARP packet (RFC 826); 0.0.0.0 is a probe for an address not yet taken.
  if (type === ARP) return fromGuest && frame.length >= 32 && view.getUint32(28) !== 0 ? 'address used' : rest;
  if (type !== IPV4 || frame.length < ETHERNET + 20) return rest;
  const headerLength = (view.getUint8(ETHERNET) & 15) * 4;
  const at = ETHERNET + headerLength;
  const protocol = view.getUint8(ETHERNET + 9);
  if (protocol === UDP && frame.length >= at + 8) {
    const from = view.getUint16(at);
    const to = view.getUint16(at + 2);
    if (fromGuest && to === DHCP_SERVER) return 'dhcp asked';
    if (!fromGuest && to === DHCP_CLIENT) {
      return dhcpType(frame.subarray(at + 8)) === ACKNOWLEDGED ? 'dhcp given' : rest;
    }
    if (from === DHCP_CLIENT) return rest;
  }
  if (!fromGuest) return rest;
  if (protocol === TCP && frame.length >= at + 20 && view.getUint16(at) === SSH) {
    const flags = view.getUint8(at + 13);
    if ((flags & 0x04) !== 0) return 'ssh refuses';
    if ((flags & 0x12) === 0x12) return 'ssh accepts';
    const data = view.getUint16(ETHERNET + 2) - headerLength - (view.getUint8(at + 12) >> 4) * 4;
    return data > 0 ? 'ssh speaks' : 'ssh answers';
  }
  const source = view.getUint32(ETHERNET + 12);
  // 169.254/16 is what a guest gives itself when nobody gave it one (RFC 3927).
  if (source === 0 || source >>> 16 === 0xa9fe) return rest;
  const ping = protocol === ICMP && frame.length > at && view.getUint8(at) === ECHO_REQUEST;
  return protocol === TCP || ping ? 'work' : 'traffic';
}

/** Option 53 of a DHCP message. */
function dhcpType(message: Uint8Array): number | undefined {
  for (let at = DHCP_OPTIONS; at + 2 < message.length; ) {
    const code = message[at] ?? 255;
    if (code === 255) return undefined;
    if (code === MESSAGE_TYPE) return message[at + 2];
    at += code === 0 ? 1 : 2 + (message[at + 1] ?? 0);
  }
  return undefined;
}
