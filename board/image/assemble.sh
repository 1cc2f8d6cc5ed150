#!/bin/sh
# Makes the root file system: Debian's base, our packages installed by dpkg, the board's own files and its kernel's
# modules. Runs as root, or as root of a user namespace, in a mount namespace of its own.
#     assemble.sh BASE.tar FILES MODULES IMAGE SIZE UUID PACKAGE.deb...
# The environment's SOURCE_DATE_EPOCH is the youngest time that a file may bear.
set -eu
base=$1 files=$2 modules=$3 image=$4 size=$5 uuid=$6
shift 6

work=$(mktemp -d)
trap 'umount -R -q "$work/tree/dev" "$work/tree/proc" || :; rm -rf --one-file-system "$work"' EXIT
tree=$work/tree
mkdir "$tree"
tar -C "$tree" --numeric-owner --exclude='./dev/*' -xpf "$base"

mkdir "$tree/deb"
cp "$@" "$tree/deb"
for folder in dev proc; do
    mount --rbind "/$folder" "$tree/$folder"
done
# /usr/sbin/policy-rc.d needs no refusal: without /run/systemd/system nothing is started.
chroot "$tree" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
    SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" sh -c 'dpkg --install /deb/*.deb' >&2
umount -R "$tree/dev" "$tree/proc"
rm -r "$tree/deb"

cp -R --no-preserve=ownership,timestamps "$files/." "$tree"
mkdir "$tree/usr/lib/modules"
cp -R --no-preserve=ownership,timestamps "$modules" "$tree/usr/lib/modules"

# What a run leaves behind, and what the first start makes anew.
rm -rf "$tree/.packages" "$tree/var/cache/ldconfig/aux-cache" "$tree"/var/cache/debconf/*-old \
    "$tree"/var/lib/dpkg/*-old "$tree"/var/log/*.log "$tree"/var/log/apt "$tree"/var/lib/apt/lists/*
: >"$tree/etc/machine-id"
find "$tree" -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

# Every run makes the same bytes: times are given, the hash of folders is seeded, and a file's time of change, which
# no program can set, is written over afterwards.
export E2FSPROGS_FAKE_TIME="$SOURCE_DATE_EPOCH"
rm -f "$image"
mke2fs -q -t ext4 -b 4096 -L edgemill -U "$uuid" -m 1 -N 12288 -J size=4 \
    -E "hash_seed=$uuid,lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0" -d "$tree" "$image" "$size" >&2
(cd "$tree" && find . -printf 'sif "/%P" ctime @'"$SOURCE_DATE_EPOCH"'\nsif "/%P" atime @'"$SOURCE_DATE_EPOCH"'\n') \
    | debugfs -w -f - "$image" >/dev/null 2>"$work/debugfs"
if grep -v '^debugfs ' "$work/debugfs" >&2; then
    exit 1
fi
du -sk --apparent-size "$tree" | cut -f1
