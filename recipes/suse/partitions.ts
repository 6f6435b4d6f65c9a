/** How YaST's storage and that of Agama, which takes the same words, cut the disk. */

/** The first disk of the machine, on virtio; the medium and the answers are others. */
const DISK = '/dev/vda';
const VOLUME_GROUP = 'system';
/** Number of a Linux partition and of one for LVM, as YaST has them on any table. */
const ID = { linux: 131, lvm: 142 } as const;

export interface Partition {
  readonly create: true;
  readonly format?: boolean;
  readonly filesystem?: 'ext4';
  readonly mount?: string;
  readonly mountby?: 'uuid';
  readonly partition_id?: number;
  readonly lvm_group?: string;
  readonly lv_name?: string;
  /** Of the smallest: YaST's own words. */
  readonly size: 'max' | `${number}GiB`;
}

export interface Drive {
  readonly device: string;
  readonly type?: 'CT_LVM';
  readonly disklabel?: 'gpt';
  readonly initialize?: true;
  readonly use?: 'all';
  readonly enable_snapshots?: false;
  readonly partitions: readonly Partition[];
}

/**
 * One root file system on ext4 behind what the firmware needs, which YaST puts there by itself, as the last thing on the disk: a
 * deployed disk grows there. No swap, which MAAS makes, no snapshots, and no /boot of its own but with LVM.
 */
export function drives(layout: string | undefined): readonly Drive[] {
  const whole = { device: DISK, disklabel: 'gpt', initialize: true, use: 'all', enable_snapshots: false } as const;
  const root = { create: true, format: true, filesystem: 'ext4', mount: '/', mountby: 'uuid', size: 'max' } as const;
  if (layout !== 'lvm') return [{ ...whole, partitions: [{ ...root, partition_id: ID.linux }] }];
  const boot = { ...root, mount: '/boot', size: '1GiB', partition_id: ID.linux } as const;
  const physical = { create: true, partition_id: ID.lvm, lvm_group: VOLUME_GROUP, size: 'max' } as const;
  return [
    { ...whole, partitions: [boot, physical] },
    { device: `/dev/${VOLUME_GROUP}`, type: 'CT_LVM', partitions: [{ ...root, lv_name: 'root' }] },
  ];
}
