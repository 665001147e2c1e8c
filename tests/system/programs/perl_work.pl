# SPDX-License-Identifier: Apache-2.0
# Work for an allocator in perl: strings and hashes that grow and shrink, sorting, regular expressions, deep structures
# that are copied, threads, and forked children. Prints sums, the same in each run.
use strict;
use warnings;
use Data::Dumper;
use Digest::SHA qw(sha256_hex);
use Storable qw(dclone freeze thaw);
use threads;

my $state = 12345;
sub random_below { $state = ($state * 1103515245 + 12345) % 2147483648; return int($state / 65536) % $_[0] }

# Hashes: strings of many lengths come and go.
my %table;
for my $step (1 .. 150_000) {
    my $key = "key" . random_below(20_000);
    if (exists $table{$key} && random_below(3) == 0) { delete $table{$key} }
    else { $table{$key} .= "x" x random_below(40) }
}
my $digest = sha256_hex(join ",", map { "$_=$table{$_}" } sort keys %table);
printf "hash: %d keys, %s\n", scalar(keys %table), $digest;

# Sorting.
my @numbers = map { random_below(1_000_000) } 1 .. 60_000;
my @sorted = sort { $a <=> $b } @numbers;
my @strings = sort map { sprintf "%06d/%s", $_, "s" x ($_ % 50) } @numbers[0 .. 30_000];
print "sort: ", sha256_hex(join ",", @sorted), " ", sha256_hex(join ",", @strings), "\n";

# Regular expressions, and a string that grows by realloc to megabytes.
my $text = "";
$text .= "line $_: the quick brown fox " . ("jumps " x ($_ % 9)) . "over $sorted[$_ % 1000]\n" for 1 .. 30_000;
my $count = () = $text =~ /(\w+) over (\d+)/g;
(my $replaced = $text) =~ s/\b(\w)(\w*)\b/\U$1\E$2/g;
my @fields = split /[\s:]+/, $replaced;
print "regex: $count matches, ", scalar(@fields), " fields, ", sha256_hex($replaced), "\n";

# Nested structures, copied and serialised.
my $tree = {};
for my $n (1 .. 10_000) {
    my $node = $tree;
    $node = $node->{$_} //= {} for split //, $n % 7919;
    push @{ $node->{list} }, "value $n";
}
my $copy = thaw(freeze(dclone($tree)));
$Data::Dumper::Sortkeys = $Data::Dumper::Indent = 1;
print "structure: ", sha256_hex(Dumper($copy)), "\n";
undef $tree;

# Threads: each gets a copy of all the data above, changes it and frees it.
my @threads = map {
    my $number = $_;
    threads->create(sub {
        my $sum = 0;
        for my $key (sort keys %table) { $sum += length $table{$key}; delete $table{$key} if $sum % ($number + 2) == 0 }
        return "thread $number: $sum, " . scalar(keys %table);
    });
} 1 .. 3;
print $_->join, "\n" for @threads;

# Children: each works on the inherited data and sends a line back through a pipe.
for my $number (1 .. 5) {
    pipe(my $reader, my $writer) or die "pipe: $!";
    my $child = fork // die "fork: $!";
    if (!$child) {
        close $reader;
        delete $table{"key$_"} for 1 .. $number * 1000;
        my $data = join "", map { "$_=$table{$_};" } sort keys %table;
        print $writer "child $number: ", scalar(keys %table), " ", sha256_hex($data), "\n";
        close $writer;
        exit $number;
    }
    close $writer;
    my $line = <$reader>;
    waitpid $child, 0;
    print $line, "status ", $? >> 8, "\n";
}
print STDERR "done\n";
