"""Commands that are what they are, whatever words follow.

Source: the manuals of the programs. A command that stands in no table is one that runs code.
"""

from __future__ import annotations

from countersign.statements.names import names
from countersign.statements.shell.command import Judge, always
from countersign.statements.verdict import StatementClass

_C = StatementClass

_GROUPS: tuple[tuple[str, tuple[StatementClass, ...], str], ...] = (
    (
        "it runs code",
        (_C.CODE_EXECUTION,),
        """source . eval exec trap alias unalias enable builtin python python2 python3 perl ruby node nodejs deno bun
        php lua
        luajit tclsh Rscript java javac scala kotlin groovy gcc cc g++ clang make cmake ninja go cargo rustc npm npx
        yarn pnpm pip pip3 pipx uv uvx poetry gem bundle composer mvn gradle ant tox nox pytest vi vim nvim view ed ex
        emacs nano pico most parallel entr expect script screen tmux at batch crontab ansible
        ansible-playbook puppet chef-client salt gdb strace ltrace perf bpftrace dtrace valgrind ld.so wine qemu
        busybox toybox m4 gnuplot octave sqlmap msfconsole fish elvish xonsh pwsh powershell osascript wmic""",
    ),
    ("it loads code into the kernel", (_C.CODE_EXECUTION, _C.PRIVILEGE), "insmod modprobe rmmod kexec"),
    (
        "it decides who may do what",
        (_C.PRIVILEGE,),
        """chown chgrp setfacl chattr setcap capsh passwd chpasswd useradd adduser usermod userdel deluser groupadd
        groupmod groupdel addgroup gpasswd newusers visudo vipw vigr chage chsh chfn chcon semanage setenforce
        restorecon
        iptables ip6tables nft ufw firewall-cmd pfctl auditctl apparmor_parser aa-disable ssh-keygen ssh-add ssh-agent
        gpg gpg2 openssl certbot kinit htpasswd sysctl pw dscl""",
    ),
    (
        "it holds up or changes what runs",
        (_C.SESSION_CONTROL,),
        """kill killall pkill skill renice sleep usleep ulimit umask set unset shopt export declare typeset readonly
        local
        wait fg bg jobs disown suspend logout exit shutdown reboot halt poweroff init telinit swapon swapoff umount
        setterm stty reset kubectx kubens pushd popd return break continue hash bind complete fuser ionice taskset
        chrt hwclock timedatectl hostnamectl localectl ntpdate yes stress stress-ng tc ifconfig route ifup ifdown nmcli
        mapfile readarray getopts let coproc""",
    ),
    (
        "it carries data to another machine",
        (_C.EXPORT,),
        """nc ncat netcat socat telnet ftp sftp tftp lftp scp rclone croc mail mailx mutt sendmail msmtp swaks
        nslookup dig host drill whois ping ping6 traceroute tracepath mtr nmap masscan websocat grpcurl ab wrk hey
        finger
        write wall logger smbclient rdesktop aria2c axel http https xh httpie iperf iperf3 hping3 curlftpfs ssh-copy-id
        gsutil azcopy s3cmd mc minio-mc restic borg duplicity""",
    ),
    (
        "it reaches into another machine",
        (_C.CODE_EXECUTION, _C.EXPORT),
        "ssh mosh rsh rexec plink sshpass psexec winrs",
    ),
    (
        "it destroys what is stored",
        (_C.DESTRUCTIVE_DDL,),
        """shred wipefs wipe srm fdisk sfdisk gdisk sgdisk parted mkswap lvremove vgremove pvremove lvreduce blkdiscard
        cryptsetup mdadm hdparm badblocks zpool zfs dropdb dropuser mkfs mkfs.ext2 mkfs.ext3 mkfs.ext4 mkfs.xfs
        mkfs.btrfs
        mkfs.vfat mkfs.fat mke2fs newfs debugfs tune2fs resize2fs""",
    ),
    (
        "it writes files",
        (_C.WRITE,),
        """touch mkdir cp ln install rmdir split csplit patch mkfifo mknod mktemp zip 7z cpio dos2unix unix2dos iconv
        rename prename createdb sponge fallocate lvcreate lvextend""",
    ),
    ("it installs or removes programs", (_C.CODE_EXECUTION, _C.PRIVILEGE), "dpkg rpm apk pacman snap flatpak brew"),
    ("it empties files", (_C.MASS_WRITE,), "truncate"),
    (
        "it dumps a database",
        (_C.BULK_READ, _C.EXPORT),
        "pg_dump pg_dumpall mysqldump mariadb-dump mongodump mongoexport",
    ),
    ("it loads a dump", (_C.CODE_EXECUTION, _C.MASS_WRITE), "pg_restore mysqlimport mongorestore mongoimport"),
    ("it shows what was typed", (_C.PRIVILEGE, _C.READ), "history fc atq"),
)

FIXED: dict[str, Judge] = {
    name: always(reason, *classes) for reason, classes, listed in _GROUPS for name in names(listed)
}
"""What looks at a command of these names; it looks at the name only."""
