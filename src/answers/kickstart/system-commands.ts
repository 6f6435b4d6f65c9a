/**
 * Kickstart commands that are about the installed system and the installation itself. Source and form: as in
 * storage-commands.ts.
 */
export const SYSTEM_COMMANDS = `
auth|authconfig 6-9 ~8-9 ... -> authselect
authselect 8+ ...
autostep 6-9 ~9 -> nothing: it was for finding faults in the installer
  6-8 --autoscreenshot
cmdline
  8+ --non-interactive
driverdisk <*>
  --source=S --biospart=S
  ~6 --type=S
eula 7+
  --agreed/agree/accepted/accept
firewall
  --disabled/disable --enabled/enable --port=S --trust=S --service=S --ftp --http --smtp --ssh
  ~6 --telnet
  7+ --remove-service=S
  8+ --use-system-defaults
firstboot
  --disabled/disable --enabled/enable --reconfig
graphical
  8+ --non-interactive
group
  --name=S! --gid=N
halt|poweroff|reboot|shutdown
  --eject
  8+ --kexec
interactive 6 -> nothing: answers that are missing are asked for
key 6 <?> -> rhsm, or subscription-manager in %post
  --skip
keyboard <?>
  7+ --vckeymap=S --xlayouts=S --switch=S
lang <1>
  7+ --addsupport=S
logging
  --host=S --port=S
  6-8 --level={debug|info|warning|error|critical}
  ~9 --level=S
mediacheck
module 8+ ~10,f41+ -> @module:stream in %packages
  8-9,f40 --name=S! --stream=S --disable
monitor 6 ~6 <*> -> nothing
network
  --bootproto={dhcp|bootp|static|query|ibft} --dhcpclass=S --device=S --essid=S --ethtool=S --gateway=S --hostname=S --ip=S
  --mtu=S --nameserver=S --netmask=S --nodns --onboot=B --wepkey=S --notksdevice --noipv4 --noipv6 --ipv6=S --activate
  --nodefroute --vlanid=S --bondslaves=S --bondopts=S
  7+ --wpakey=S --ipv6gateway=S --interfacename=S --bridgeslaves=S --bridgeopts=S --no-activate --bindto={mac}
  7-9,f --teamslaves=S --teamconfig=S
  ~10 --teamslaves=S --teamconfig=S
  9+ --ipv4-dns-search=S --ipv6-dns-search=S --ipv4-ignore-auto-dns --ipv6-ignore-auto-dns
rdp 10,f43+
  --username=S --password=S
realm 7+ ...
rescue
  --nomount --romount
rhsm 8-10
  --organization=S! --activation-key=S! --connect-to-insights --proxy=S --server-hostname=S --rhsm-baseurl=S
  10 --flatpak-registry-url=S
rootpw <?>
  --iscrypted --lock --plaintext
  9+ --allow-ssh
selinux
  --disabled --enforcing --permissive
services
  --disabled=S --enabled=S
skipx
sshkey 8+ <1>
  --username=S!
sshpw <+>
  --username=S! --iscrypted --plaintext --lock
  8+ --sshkey
syspurpose 8-10 ~9
  --role=S --sla=S --usage=S --addon=S
text
  8+ --non-interactive
timesource 9+
  --ntp-server=S --ntp-pool=S --ntp-disable --nts
timezone <?>
  6 --utc/isUtc
  7-9 --utc --isUtc --nontp --ntpservers=S
  10+ --utc
  ~f --isUtc --nontp --ntpservers=S
unsupported_hardware 6-7 -> nothing
updates <?>
upgrade 6-7 ~7 -> an upgrade of the installed system by its own tools
  6 --root-device=S
user
  --groups=S --homedir=S --iscrypted --name=S! --password=S --shell=S --uid=N --lock --plaintext --gecos=S
  7+ --gid=N
vnc 6+ ~10,f43+ -> rdp
  6-9,f40-42 --password=S --host=S --port=S
xconfig
  --defaultdesktop=S --startxonboot
  ~6 --driver=S --depth=S --resolution=S --videoram=S
`;

/** Where packages come from. */
export const SOURCE_COMMANDS = `
bootc 10,f43+
  --stateroot=S --source-imgref=S! --target-imgref=S
cdrom
harddrive
  6-8 --biospart=S --partition=S --dir=S!
  9+ --partition=S! --dir=S!
hmc 7+
install 6-8 ~8 -> the command of the source alone: url, nfs, cdrom, harddrive
  6-7 --root-device=S
liveimg 7+
  --url=S! --proxy=S --noverifyssl --checksum=S
method 6-9 ~9 ... -> the command of the source: url, nfs, cdrom, harddrive
nfs
  --server=S! --dir=S! --opts=S
ostreecontainer 9+
  --stateroot=S --url=S! --transport=S --remote=S --no-signature-verification
ostreesetup 7+
  --osname=S! --remote=S --url=S! --ref=S! --nogpg
repo
  --name=S! --baseurl=S --mirrorlist=S --cost=N --excludepkgs=S --includepkgs=S --proxy=S --noverifyssl
  6-8 --ignoregroups=B
  ~9 --ignoregroups=B
  7+ --install
  8+ --metalink=S --sslcacert=S --sslclientcert=S --sslclientkey=S
url
  6 --url=S!
  --proxy=S --noverifyssl
  7+ --url=S --mirrorlist=S
  8+ --metalink=S --sslcacert=S --sslclientcert=S --sslclientkey=S
`;
