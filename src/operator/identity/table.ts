/**
 * What is created once and outlives its server: one row for each, with its Secret, how it is
 * judged, how it is made, and what is done where it is broken. A backup has to save exactly this.
 */
import { randomBytes, randomInt } from "node:crypto";
import { certificateSource } from "../../api/certificate-source.ts";
import type { ChatmailServerSpec } from "../../api/chatmail-server.ts";
import { annotations, type childNames } from "../../api/names.ts";
import { type CertificateFacts, judgeCertificate } from "../../certificates/judge.ts";
import { makeSelfSigned } from "../../certificates/self-signed.ts";
import { signsMail } from "../../mail/address.ts";
import { invitePage, inviteTokenIn } from "../../mail/invite.ts";
import { turnSecretKey } from "../../pod/turn.ts";
import type { Concern, Problem } from "../problem.ts";
import { type DkimKeys, firstKeys, readDkimKeys } from "./dkim.ts";

/** What programs and the status need of each. */
export interface IdentityValues {
  /**
   * The self-signed certificate: clients remember its key. Where one is ordered by ACME, that one,
   * with the key of the self-signed one that is served until it is there.
   */
  tls: CertificateFacts;
  /** What TURN credentials are made with: whoever knows it may relay through the server. */
  turn: string;
  /**
   * How many invites there are. The first is made here; from then on the Secret is the user's, who
   * adds and deletes keys.
   */
  invites: number;
  /** The keys that the domain signs with, will sign with and has signed with. */
  dkim: DkimKeys;
}

export type IdentityName = keyof IdentityValues;

/** The contents of a Secret, decoded. */
export type Texts = Readonly<Record<string, string>>;

interface JudgedAt {
  domain: string;
  now: Date;
  secretName: string;
  /** When the Secret was created. */
  madeAt: string;
  /** A certificate is ordered from an authority. */
  ordered: boolean;
}

interface Identity<Value> {
  /** Which of the names of a server its Secret has. */
  secret: keyof ReturnType<typeof childNames>;
  type: "kubernetes.io/tls" | "Opaque";
  isFor: (spec: ChatmailServerSpec) => boolean;
  /** Pure. Broken is what has no value or a problem. */
  judge: (texts: Texts, at: JudgedAt) => { value?: Value; problem?: Problem };
  /** The texts of a new one. `rsaKey`: where one comes from that is ready. */
  make: (
    domain: string,
    now: Date,
    spec: Pick<ChatmailServerSpec, "dkim">,
    rsaKey?: () => Promise<string>,
  ) => Promise<Texts> | Texts;
  /** The pod can't do without it. */
  podNeedsIt: boolean;
  /** The condition that tells of it. */
  concern: Concern;
  /** "keep": others rely on what was there, so a person has to put it back. */
  whenBroken: "remake" | "keep";
}

/**
 * In the order they are made: what takes longest comes last, when the API server has taken the
 * others.
 */
export const identities: { readonly [Name in IdentityName]: Identity<IdentityValues[Name]> } = {
  tls: {
    secret: "tlsSecret",
    type: "kubernetes.io/tls",
    podNeedsIt: true,
    concern: "CertificateReady",
    isFor: (spec) => ["SelfSigned", "ACME"].includes(certificateSource(spec).source),
    judge(texts, { domain, now, secretName, ordered }) {
      const pair = pairIn(texts);
      if (!pair) return { problem: { reason: "CertificateMissing", message: lacksPair(secretName) } };
      const { facts, problem } = judgeCertificate({ ...pair, domain, now });
      // one of an authority is renewed by another one, not by a self-signed one
      if (ordered && facts && problem?.reason !== "CertificateMismatch") return { value: facts };
      return { ...(facts && { value: facts }), ...(problem && { problem }) };
    },
    async make(domain, now) {
      const { certificatePem, keyPem } = await makeSelfSigned(domain, now);
      return { "tls.crt": certificatePem, "tls.key": keyPem };
    },
    whenBroken: "remake",
  },
  turn: {
    secret: "turnSecret",
    type: "Opaque",
    podNeedsIt: true,
    concern: "PodReady",
    isFor: ({ services }) => services.turn.enabled,
    // an empty one would let everybody in; clients ask for credentials again within days
    judge: ({ [turnSecretKey]: secret = "" }) => (secret.trim() === "" ? {} : { value: secret }),
    make: () => ({ [turnSecretKey]: randomBytes(32).toString("hex") }),
    whenBroken: "remake",
  },
  invites: {
    secret: "invitesSecret",
    type: "Opaque",
    podNeedsIt: false,
    concern: "InvitesReady",
    isFor: ({ accounts }) => accounts.registration === "Invite" && accounts.invitesSecretName === undefined,
    judge: (texts) => ({ value: countOfInvites(texts) }),
    make: (domain) => ({ link: invitePage(domain, newToken()) }),
    whenBroken: "keep",
  },
  dkim: {
    secret: "dkimSecret",
    type: "Opaque",
    podNeedsIt: true,
    concern: "PodReady",
    isFor: ({ domain }) => signsMail(domain),
    judge(texts, { secretName, madeAt }) {
      const read = readDkimKeys(texts, madeAt);
      if ("value" in read) return read;
      const message = `Secret ${secretName} has ${read.problem}: restore it. To get a new key instead, delete the Secret, accept the loss with the annotation ${annotations.acceptDataLoss}=dkim, and publish the new record`;
      return { problem: { reason: "DkimKeyInvalid", message } };
    },
    make: (_domain, _now, { dkim }, rsaKey) => firstKeys(dkim, rsaKey),
    // its public half is in the DNS
    whenBroken: "keep",
  },
};

export const identityNames = Object.keys(identities) as IdentityName[];

/** The pair in a Secret, also in one that a person gives. */
export function pairIn(texts: Texts): { certificatePem: string; keyPem: string } | undefined {
  const { "tls.crt": certificatePem, "tls.key": keyPem } = texts;
  return certificatePem && keyPem ? { certificatePem, keyPem } : undefined;
}

export const lacksPair = (secretName: string) => `Secret ${secretName} lacks tls.crt or tls.key`;

export const countOfInvites = (texts: Texts) =>
  Object.values(texts).filter((value) => inviteTokenIn(value) !== undefined).length;

/** Letters and digits that nobody mistakes for others when they read them aloud: 98 bits. */
export function newToken(): string {
  const letters = "abcdefghjkmnpqrstuvwxyz23456789";
  return Array.from({ length: 20 }, () => letters[randomInt(letters.length)]).join("");
}
