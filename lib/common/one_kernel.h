/*
 * Which files only one kernel at a time can reach: those in its memory, and those on a device that no other can have mounted. Where such a
 * file was written under another boot id than the one of now, the kernel that wrote it is gone, and with it the process. Through network
 * and cluster filesystems, and FUSE (virtiofs is one), a process of another machine may be writing at this very moment.
 */
#ifndef HEAPTAP_ONE_KERNEL_H
#define HEAPTAP_ONE_KERNEL_H

#include "base.h"

/* By the magic number of statfs(2). */
INLINE bool one_kernel_has(uint32_t filesystem)
{
    switch (filesystem) {
    case 0x01021994: /* tmpfs */
    case 0x858458f6: /* ramfs */
    case 0x958458f6: /* hugetlbfs */
    case 0x0000ef53: /* ext2, ext3, ext4 */
    case 0x58465342: /* XFS */
    case 0x9123683e: /* Btrfs */
    case 0xf2f52010: /* F2FS */
    case 0x2fc12fc1: /* ZFS */
    case 0xca451a4e: /* bcachefs */
    case 0x24051905: /* UBIFS */
    case 0x000072b6: /* JFFS2 */
    case 0x794c7630: /* overlayfs: what is written lies in a layer that belongs to one mount */ return true;
    default: return false;
    }
}

/* Of the file that a boot id was read from: systemd-nspawn and LXC show their containers one of their own, of the same kernel. */
INLINE bool one_kernel_wrote_boot_id(uint32_t filesystem)
{
    return filesystem == 0x9fa0; /* procfs */
}

#endif
