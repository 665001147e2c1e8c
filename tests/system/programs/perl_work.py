# SPDX-License-Identifier: Apache-2.0
"""perl runs perl_work.pl: hashes, regular expressions, sorting, threads, and children that it forks."""


def scenario(session):
    session.run(["/usr/bin/perl", session.files["perl_work.pl"]], environment={"PERL_HASH_SEED": "0"})
    # Words in, counts out, through two processes and a pipe.
    words = " ".join(f"word{(n * n) % 997} and Word{n % 13}" for n in range(20000))
    session.run(["/usr/bin/perl", "-ne", r'$n{lc $_}++ for /\w+/g; END { print "$_ $n{$_}\n" for sort keys %n }'], stdin=words)
    # What perl says and how it ends when a program dies.
    session.run(["/usr/bin/perl", "-e", 'my @list = map { "item $_" } 1 .. 50000; die "died with $#list\n"'], expected=255)
