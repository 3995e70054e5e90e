/** Passwords, settings and hashes of SHA512-crypt that others have computed. */

export type Vector = readonly [setting: string, password: string, hash: string];

/** The test vectors of the specification ("Unix crypt using SHA-256 and SHA-512"). */
export const publishedVectors: readonly Vector[] = [
  [
    "$6$saltstring",
    "Hello world!",
    "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
  ],
  [
    "$6$rounds=10000$saltstringsaltstring",
    "Hello world!",
    "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.",
  ],
  [
    "$6$rounds=5000$toolongsaltstring",
    "This is just a test",
    "$6$rounds=5000$toolongsaltstrin$lQ8jolhgVRVhY4b5pZKaysCLi0QBxGoNeKQzQ3glMhwllF7oGDZxUhx1yxdYcz/e1JSbq3y6JMxxl8audkUEm0",
  ],
  [
    "$6$rounds=1400$anotherlongsaltstring",
    "a very much longer text to encrypt.  This one even stretches over morethan one line.",
    "$6$rounds=1400$anotherlongsalts$POfYwTEok97VWcjxIiSOjiykti.o/pQs.wPvMxQ6Fm7I6IoYN3CmLs66x9t0oSwbtEW7o7UmJEiDwGqd8p4ur1",
  ],
  [
    "$6$rounds=77777$short",
    "we have a short salt string but not a short password",
    "$6$rounds=77777$short$WuQyW2YR.hBNpjjRhpYD/ifIw05xdfeEyQoMxIXbkvr0gge1a1x3yRULJ5CCaUeOxFmtlcGZelFl5CxtgfiAc0",
  ],
  [
    "$6$rounds=123456$asaltof16chars..",
    "a short string",
    "$6$rounds=123456$asaltof16chars..$BtCwjqMJGx5hrJhZywWvt0RLE8uZ4oPwcelCjmw2kSYu.Ec6ycULevoBK25fs2xXgMNrCzIMVcgEJAstJeonj1",
  ],
  [
    "$6$rounds=10$roundstoolow",
    "the minimum number is still observed",
    "$6$rounds=1000$roundstoolow$kUMsbe306n21p9R.FRkW3IGn.S9NPN0x50YhH1xhLsPuWGsUSklZt58jaTfF4ZEQpyUNGc0dqbpBYYBaHHrsX.",
  ],
];

/**
 * From OpenSSL 3 (`openssl passwd -6 -salt abcDEF./ x…`): lengths around the digest's 64 bytes,
 * where implementations go wrong.
 */
export const lengthVectors: readonly Vector[] = [
  [
    "$6$abcDEF./$",
    "x".repeat(63),
    "$6$abcDEF./$ZaGpitPckdVb4e8plL6URbjl1b.hvT9SIB6szJUAokPXseN9.Gj6Y7sTRU35meHMzWHbVyEbPN/.eEWRuczbg0",
  ],
  [
    "$6$abcDEF./$",
    "x".repeat(64),
    "$6$abcDEF./$h3MfD1B8sM7F4E0zQ52bV8dDyibKHJOQm1ur7o2bnrMZzVcAzjQbnS612akpCcm.uM3bHt/ogkFZUHglNk7MV0",
  ],
  [
    "$6$abcDEF./$",
    "x".repeat(65),
    "$6$abcDEF./$X5Y0Ym7smYhAIfqSC6DmAHRM0YcgOCBbhjgBHpddU8/HITfI1dKAbr21eGMsBv.upd9pmwNZPI0.LTwi35riV0",
  ],
  [
    "$6$abcDEF./$",
    "x".repeat(128),
    "$6$abcDEF./$C1uqkUiIogbVjL/RUSS5.kbpo5Ie3XwRlgBobyqiq4OB9.7bYyxeurJfGlcPB3bjZBN5VVMyUPaadkH8OFijp0",
  ],
];
