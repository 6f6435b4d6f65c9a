/**
 * Kickstart commands that are about disks, as the releases have them. Source: the kickstart references of Red Hat Enterprise
 * Linux 6 to 10 and the documentation of pykickstart (versions added, deprecated, removed). Form: `readTable`.
 */
export const STORAGE_COMMANDS = `
autopart
  --encrypted --passphrase=S --escrowcert=S --backuppassphrase --cipher=S
  7+ --nolvm --type={lvm|btrfs|plain|partition|thinp} --fstype=S --nohome
  8+ --noboot --noswap --luks-version=S --pbkdf=S --pbkdf-memory=N --pbkdf-time=N --pbkdf-iterations=N
  10+ --hibernation
  f41+ --hw-passphrase=S
bootloader
  --append=S --location={mbr|partition|none|boot} --password=S --driveorder=S --timeout=N --default=S --iscrypted --md5pass=S
  6-7 --upgrade
  ~8 --upgrade
  ~6 --lba32
  7+ --boot-drive=S --leavebootorder --extlinux --disabled --nombr
  10+ --sdboot
btrfs 7-9,f ~8-9 <+> -> lvm or plain partitions with xfs
  7,f --noformat --useexisting --label=S --data=S --metadata=S --subvol --parent=S --name=S --mkfsoptions=S
clearpart
  --all --drives=S --initlabel --linux --none
  7+ --disklabel=S --list=S --cdl
device 6-8 ~8 ... -> the kernel argument of the driver
  6-7 --opts=S
deviceprobe 6-8 ~8 ... -> nothing: devices are found by themselves
dmraid 6-8 ~8 ... -> nothing: firmware RAID is found by itself
  6-7 --name=S! --dev=S!
fcoe
  --nic=S! --dcb
  7+ --autovlan
ignoredisk
  --drives=S --only-use=S
  6-7 --interactive
  ~8 --interactive
iscsi
  --target=S --ipaddr=S! --port=N --user=S --password=S --reverse-user=S --reverse-password=S --iface=S
iscsiname <1>
logvol <1>
  --fstype=S --grow --maxsize=N --name=S! --noformat --percent=N --recommended --size=N --useexisting --vgname=S! --fsoptions=S
  --fsprofile=S --encrypted --passphrase=S --escrowcert=S --backuppassphrase --cipher=S --hibernation
  --thinpool --thin --poolname=S --chunksize=N --metadatasize=N --profile=S
  ~6 --bytes-per-inode=S
  7+ --label=S --resize --mkfsoptions=S
  8+ --cachesize=N --cachemode=S --cachepvs=S --luks-version=S --pbkdf=S --pbkdf-memory=N --pbkdf-time=N --pbkdf-iterations=N
mount 8+ <2>
  --reformat=? --mkfsoptions=S --mountoptions=S
multipath 6-8 ~8 ... -> nothing: multipath devices are found by themselves
  6-7 --name=S! --device=S! --rule=S!
nvdimm 7-9,f ~f <*> -> nothing: the firmware's tools set namespaces up
  7-9 --namespace=S --blockdevs=S --mode={sector} --sectorsize=N
part|partition <1>
  --asprimary --fstype/type=S --grow --maxsize=N --noformat --onbiosdisk=S --ondisk/ondrive=S --onpart/usepart=S
  --recommended --size=N --fsoptions=S --label=S --fsprofile=S --encrypted --passphrase=S --escrowcert=S --backuppassphrase
  --cipher=S --hibernation
  6-7 --active
  ~8 --active
  ~6 --bytes-per-inode=S --start=S --end=S
  7+ --resize --mkfsoptions=S
  8+ --luks-version=S --pbkdf=S --pbkdf-memory=N --pbkdf-time=N --pbkdf-iterations=N
  f41+ --hw-passphrase=S
raid <+>
  --device=S! --fstype=S --level=S --noformat --spares=N --useexisting --fsoptions=S --fsprofile=S --encrypted
  --passphrase=S --escrowcert=S --backuppassphrase --cipher=S
  ~6 --bytes-per-inode=S
  7+ --label=S --mkfsoptions=S --chunksize=N
  8+ --luks-version=S --pbkdf=S --pbkdf-memory=N --pbkdf-time=N --pbkdf-iterations=N
reqpart 7+
  --add-boot
snapshot 7+ <1>
  --name=S! --when={post-install|pre-install}!
volgroup <+>
  --noformat --pesize=N --useexisting --reserved-space=N --reserved-percent=N
zerombr <?>
zfcp
  6-8 --devnum=S! --wwpn=S! --fcplun=S!
  9+ --devnum=S! --wwpn=S --fcplun=S
  ~6 --scsiid=S --scsilun=S
zipl 8+
  --secure-boot --force-secure-boot --no-secure-boot
`;
