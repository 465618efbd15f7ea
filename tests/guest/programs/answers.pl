# Perl with known answers: the same program runs on the host and in the guest, and must say the same.
use strict;
use warnings;

my $text = join " ", map { ($_ * 7919) % 1009 } 1 .. 20000;
my %count;
$count{$_}++ for split / /, $text;
my @top = (sort { $count{$b} <=> $count{$a} || $a <=> $b } keys %count)[0 .. 4];
print "top @top $count{$top[0]} ", scalar(keys %count), "\n";
print "sum ", unpack("%32C*", $text), " ", length($text), "\n";
my $letters = join "", map { chr(97 + $_ * $_ % 26) } 1 .. 5000;
(my $changed = $letters) =~ s/([aeiou])([^aeiou]+)/\U$2\E$1/g;
print "regex ", unpack("%32n*", $changed), " ", ($changed =~ tr/A-Z//), " ", substr($changed, 100, 60), "\n";
printf "float %.15g %.15g %.0f %a\n", 1 / 3, sqrt(2), 2**80, 0.1 + 0.2;
printf "int %d %u %x %b\n", -7 % 3, 2**63, 0xdeadbeef ^ 0x12345678, 1234567;
my ($a, $b) = (0, 1);
($a, $b) = ($b, ($a + $b) % 1000000007) for 1 .. 50000;
print "fibonacci $a\n";
my @sieve = (1) x 20000;
for my $p (2 .. 141) {
    next unless $sieve[$p];
    for (my $m = $p * $p; $m < 20000; $m += $p) { $sieve[$m] = 0 }
}
print "primes ", scalar(grep { $sieve[$_] } 2 .. 19999), "\n";
print "pack ", unpack("H*", pack("nNvVqd", 1, 2, 3, 4, -5, 0.1)), "\n";
my $out = `echo from a child; exit 3`;
print "child $out status ", $? >> 8, "\n";
