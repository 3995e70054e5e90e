/**
 * Every sentence of the built-in pages, in each of their languages. HTML; the caller escapes what
 * it inserts.
 */
import type { Language } from "./language.ts";

export interface Texts {
  menu: { label: string; index: string; info: string; privacy: string };
  footer: string;
  days: (count: number) => string;
  index: {
    title: string;
    lead(name: string): string;
    points: readonly { heading: string; text: string }[];
    invited: { heading: string; text: string };
    closed: { heading: string; text: string };
    start: { heading: string; text: string; button: string };
  };
  join: {
    heading: string;
    install: string;
    tap: string;
    write: string;
    button: string;
    scan: string;
    qrLabel(name: string): string;
  };
  invite: { title(name: string): string; lead(name: string): string; own: string };
  notValid: { title: string; text: string };
  notNow: { title: string; text: string };
  missing: { title: string; text: string; back: string };
  info: {
    title: string;
    lead: string;
    limits: string;
    deleted: string;
    deletedLarge: string;
    unused: string;
    messageSize: string;
    mailboxSize: string;
    rate: string;
    perMinute(count: number): string;
    refused: { heading: string; text: string };
    second: { heading: string; text: string };
    others: { heading: string; text: string };
    none: { heading: string; text: string };
  };
  privacy: {
    title: string;
    lead(name: string): string;
    who: string;
    unnamed: string;
    postal: string;
    mail: string;
    dataOfficer: string;
    supervisor: string;
    kept: string;
    account: { term: string; text(days: string): string };
    login: { term: string; text: string };
    messages: { term: string; text(days: string, large: string): string };
    passing: { term: string; text: string };
    push: { term: string; text(service: string): string };
    connection: { term: string; text: string };
    notKept: { heading: string; text: string };
    site: { heading: string; text: string };
    rights: { heading: string; text: string };
  };
}

const deltaChat = (text: string) => `<a href="https://delta.chat/" rel="noreferrer">${text}</a>`;
const download = (text: string) => `<a href="https://get.delta.chat/" rel="noreferrer">${text}</a>`;

const en: Texts = {
  menu: { label: "Pages", index: "Join", info: "How it works", privacy: "Privacy" },
  footer: `A chatmail relay for ${deltaChat("Delta Chat")}. No cookies, no scripts, no content from other sites.`,
  days: (count) => (count === 1 ? "1 day" : `${count} days`),
  index: {
    title: "Chat without giving away who you are",
    lead: (name) =>
      `<strong>${name}</strong> delivers messages for ${deltaChat("Delta Chat")}, a free messenger for phones and computers. You need no phone number and no real name.`,
    points: [
      {
        heading: "Nobody else can read your messages",
        text: "This relay accepts only end-to-end encrypted messages. It cannot decrypt them.",
      },
      {
        heading: "No forms to fill in",
        text: "The app creates a random address for you: no name, no phone number, no other e-mail address.",
      },
      { heading: "Nothing is kept for long", text: "Messages and unused addresses are deleted automatically." },
    ],
    invited: {
      heading: "By invitation only",
      text: "You need an invite to join this relay. If someone has sent you an invite link, open it on your phone or scan its QR code with Delta Chat.",
    },
    closed: {
      heading: "No new members",
      text: "This relay does not accept new members. If you already have an address here, you can keep using it.",
    },
    start: {
      heading: "Get an address",
      text: "The next page creates an address just for you.",
      button: "Continue",
    },
  },
  join: {
    heading: "Get an address",
    install: `${download("Get Delta Chat")} for your phone or computer if you don’t have it yet.`,
    tap: "Tap the button, or scan the QR code with Delta Chat on another device.",
    write: "Choose the name that your friends will see, and start chatting.",
    button: "Open in Delta Chat",
    scan: "Scan with Delta Chat",
    qrLabel: (name) => `QR code: get an address on ${name}`,
  },
  invite: {
    title: (name) => `You are invited to ${name}`,
    lead: (name) =>
      `With this invite you can get an address on <strong>${name}</strong>, for ${deltaChat("Delta Chat")}.`,
    own: "The QR code and the button below contain an address that was created just for you. Don’t share them. To invite others, share the link to this page.",
  },
  notValid: {
    title: "This invite is not valid",
    text: "It was revoked, or the link is incomplete. Ask the person who sent it to you for a new one.",
  },
  notNow: {
    title: "Please try again later",
    text: "This relay is not creating new addresses at the moment. Please try again in a few minutes. Your link stays valid.",
  },
  missing: { title: "Page not found", text: "The link may be incomplete.", back: "Go to the home page" },
  info: {
    title: "How it works",
    lead: "A relay is a small mail server that keeps your messages until your devices have received them. Data that it does not keep cannot be stolen.",
    limits: "Limits",
    deleted: "Messages are deleted after",
    deletedLarge: "Large messages that you have seen are deleted after",
    unused: "Unused addresses are deleted after",
    messageSize: "Maximum message size, with attachments",
    mailboxSize: "Mailbox size",
    rate: "Sending limit",
    perMinute: (count) => `${count} messages per minute`,
    refused: {
      heading: "Only encrypted messages",
      text: "The relay rejects messages that are not end-to-end encrypted, whether they come from its own users or from other servers. Ordinary e-mail does not get through. To connect with someone, scan their QR code in the app or send them your invite link.",
    },
    second: {
      heading: "More than one relay",
      text: "A Delta Chat profile can use several relays at the same time. If one is unavailable, messages are delivered through another.",
    },
    others: {
      heading: "Friends on other relays",
      text: "You can chat with people on every other chatmail relay. They don’t need an address here.",
    },
    none: {
      heading: "No backup",
      text: "Your messages are stored on your devices only. The relay cannot restore them. Make a backup in the app, or use a second device.",
    },
  },
  privacy: {
    title: "Privacy",
    lead: (name) => `Which data ${name} needs to deliver messages, how long it keeps them, and who is responsible.`,
    who: "Who is responsible",
    unnamed: "The operator of this relay has not published contact details. Ask the person who told you about it.",
    postal: "Operator",
    mail: "Contact",
    dataOfficer: "Data protection officer",
    supervisor: "Supervisory authority",
    kept: "What is stored, and for how long",
    account: {
      term: "Your address and password",
      text: (days) =>
        `The address is random. The password is stored only as a hash. Both are deleted, with all data of the account, after ${days} without a login.`,
    },
    login: { term: "Your last login", text: "Only the day, to find unused addresses." },
    messages: {
      term: "Messages",
      text: (days, large) =>
        `End-to-end encrypted. They are deleted when your app deletes them, and after ${days} at the latest; large messages that you have seen, after ${large}.`,
    },
    passing: {
      term: "Who writes to whom",
      text: "Sender, recipients, time and size are needed to deliver a message. They are part of the message and are deleted with it; there is no separate record. A message to someone on another server is sent to that server.",
    },
    push: {
      term: "Push notifications",
      text: (service) =>
        `If your device requests it, the relay stores a token that only the push service can decrypt. When a message arrives, the relay sends this token, and nothing else, to ${service}. The token is deleted 90 days after your device last renewed it.`,
    },
    connection: {
      term: "IP addresses",
      text: "The relay sees your IP address while you are connected. It does not store it.",
    },
    notKept: {
      heading: "What is not stored",
      text: "Names, phone numbers, contacts, groups, profile pictures and the content of messages: the relay never receives any of these in a readable form. Its logs contain neither e-mail addresses nor IP addresses.",
    },
    site: {
      heading: "These pages",
      text: "No cookies, no scripts, no analytics, no content from other sites, no record of visits.",
    },
    rights: {
      heading: "Your rights",
      text: "Where the General Data Protection Regulation applies, the legal basis is Article 6(1)(b): the data are necessary to provide the service that you requested. You have the right to know which data about you are stored, to have them corrected or deleted, and to complain to a supervisory authority. The operator does not know who you are. To prove that an address is yours, write from it.",
    },
  },
};

const de: Texts = {
  menu: { label: "Seiten", index: "Mitmachen", info: "So funktioniert es", privacy: "Datenschutz" },
  footer: `Ein Chatmail-Relay für ${deltaChat("Delta Chat")}. Keine Cookies, keine Skripte, keine Inhalte von anderen Websites.`,
  days: (count) => (count === 1 ? "1 Tag" : `${count} Tagen`),
  index: {
    title: "Chatten, ohne sich preiszugeben",
    lead: (name) =>
      `<strong>${name}</strong> stellt Nachrichten für ${deltaChat("Delta Chat")} zu, einen freien Messenger für Handy und Computer. Du brauchst weder eine Telefonnummer noch deinen echten Namen.`,
    points: [
      {
        heading: "Niemand liest mit",
        text: "Dieses Relay nimmt nur Ende-zu-Ende-verschlüsselte Nachrichten an. Es kann sie nicht entschlüsseln.",
      },
      {
        heading: "Keine Formulare",
        text: "Die App erzeugt eine zufällige Adresse für dich: kein Name, keine Telefonnummer, keine andere E-Mail-Adresse.",
      },
      {
        heading: "Nichts bleibt lange gespeichert",
        text: "Nachrichten und ungenutzte Adressen werden automatisch gelöscht.",
      },
    ],
    invited: {
      heading: "Nur mit Einladung",
      text: "Für dieses Relay brauchst du eine Einladung. Wenn dir jemand einen Einladungslink geschickt hat, öffne ihn auf dem Handy oder scanne seinen QR-Code mit Delta Chat.",
    },
    closed: {
      heading: "Keine neuen Mitglieder",
      text: "Dieses Relay nimmt keine neuen Mitglieder auf. Wenn du hier schon eine Adresse hast, kannst du sie weiter benutzen.",
    },
    start: {
      heading: "Adresse anlegen",
      text: "Auf der nächsten Seite wird eine Adresse nur für dich erzeugt.",
      button: "Weiter",
    },
  },
  join: {
    heading: "Adresse anlegen",
    install: `${download("Delta Chat installieren")}, falls du es auf deinem Handy oder Computer noch nicht hast.`,
    tap: "Auf die Schaltfläche tippen oder den QR-Code mit Delta Chat auf einem anderen Gerät scannen.",
    write: "Den Namen wählen, den deine Freunde sehen sollen, und anfangen zu chatten.",
    button: "In Delta Chat öffnen",
    scan: "Mit Delta Chat scannen",
    qrLabel: (name) => `QR-Code: Adresse auf ${name} anlegen`,
  },
  invite: {
    title: (name) => `Einladung zu ${name}`,
    lead: (name) =>
      `Mit dieser Einladung bekommst du eine Adresse auf <strong>${name}</strong>, für ${deltaChat("Delta Chat")}.`,
    own: "Der QR-Code und die Schaltfläche enthalten eine Adresse, die gerade nur für dich erzeugt wurde. Gib sie nicht weiter. Um andere einzuladen, teile den Link zu dieser Seite.",
  },
  notValid: {
    title: "Diese Einladung ist ungültig",
    text: "Sie wurde widerrufen, oder der Link ist unvollständig. Bitte die Person, die ihn dir geschickt hat, um einen neuen.",
  },
  notNow: {
    title: "Bitte später noch einmal versuchen",
    text: "Dieses Relay legt im Moment keine neuen Adressen an. Bitte versuche es in ein paar Minuten noch einmal. Dein Link bleibt gültig.",
  },
  missing: {
    title: "Seite nicht gefunden",
    text: "Vielleicht ist der Link unvollständig.",
    back: "Zur Startseite",
  },
  info: {
    title: "So funktioniert es",
    lead: "Ein Relay ist ein kleiner Mailserver, der Nachrichten aufbewahrt, bis deine Geräte sie empfangen haben. Daten, die er nicht speichert, kann ihm auch niemand stehlen.",
    limits: "Grenzwerte",
    deleted: "Nachrichten werden gelöscht nach",
    deletedLarge: "Große, bereits gesehene Nachrichten werden gelöscht nach",
    unused: "Ungenutzte Adressen werden gelöscht nach",
    messageSize: "Maximale Größe einer Nachricht mit Anhängen",
    mailboxSize: "Größe des Postfachs",
    rate: "Sendelimit",
    perMinute: (count) => `${count} Nachrichten pro Minute`,
    refused: {
      heading: "Nur verschlüsselte Nachrichten",
      text: "Das Relay lehnt Nachrichten ab, die nicht Ende-zu-Ende-verschlüsselt sind, ob sie von den eigenen Nutzern oder von anderen Servern kommen. Gewöhnliche E-Mails kommen nicht durch. Um mit jemandem in Kontakt zu kommen, scanne in der App seinen QR-Code oder schicke ihm deinen Einladungslink.",
    },
    second: {
      heading: "Mehr als ein Relay",
      text: "Ein Profil in Delta Chat kann mehrere Relays gleichzeitig benutzen. Fällt eines aus, werden Nachrichten über ein anderes zugestellt.",
    },
    others: {
      heading: "Freunde auf anderen Relays",
      text: "Du kannst mit Menschen auf jedem anderen Chatmail-Relay chatten. Sie brauchen hier keine Adresse.",
    },
    none: {
      heading: "Kein Backup",
      text: "Deine Nachrichten sind nur auf deinen Geräten gespeichert. Das Relay kann sie nicht wiederherstellen. Erstelle in der App ein Backup oder benutze ein zweites Gerät.",
    },
  },
  privacy: {
    title: "Datenschutz",
    lead: (name) =>
      `Welche Daten ${name} braucht, um Nachrichten zuzustellen, wie lange sie gespeichert werden und wer dafür verantwortlich ist.`,
    who: "Verantwortlich",
    unnamed:
      "Der Betreiber dieses Relays hat keine Kontaktdaten veröffentlicht. Frage die Person, die dir davon erzählt hat.",
    postal: "Betreiber",
    mail: "Kontakt",
    dataOfficer: "Datenschutzbeauftragte Person",
    supervisor: "Aufsichtsbehörde",
    kept: "Was gespeichert wird und wie lange",
    account: {
      term: "Deine Adresse und dein Passwort",
      text: (days) =>
        `Die Adresse ist zufällig. Vom Passwort wird nur ein Hash gespeichert. Nach ${days} ohne Anmeldung wird beides gelöscht, mit allen Daten des Kontos.`,
    },
    login: {
      term: "Deine letzte Anmeldung",
      text: "Nur der Tag, um ungenutzte Adressen zu finden.",
    },
    messages: {
      term: "Nachrichten",
      text: (days, large) =>
        `Ende-zu-Ende-verschlüsselt. Sie werden gelöscht, wenn deine App sie löscht, spätestens aber nach ${days}; große Nachrichten, die du gesehen hast, nach ${large}.`,
    },
    passing: {
      term: "Wer wem schreibt",
      text: "Absender, Empfänger, Zeit und Größe sind nötig, um eine Nachricht zuzustellen. Sie sind Teil der Nachricht und werden mit ihr gelöscht; gesondert aufgezeichnet werden sie nicht. Eine Nachricht an jemanden auf einem anderen Server wird an diesen Server übertragen.",
    },
    push: {
      term: "Push-Benachrichtigungen",
      text: (service) =>
        `Wenn dein Gerät es anfordert, speichert das Relay ein Token, das nur der Push-Dienst entschlüsseln kann. Kommt eine Nachricht an, sendet das Relay dieses Token, und sonst nichts, an ${service}. Das Token wird gelöscht, wenn dein Gerät es 90 Tage lang nicht erneuert hat.`,
    },
    connection: {
      term: "IP-Adressen",
      text: "Das Relay sieht deine IP-Adresse, solange du verbunden bist. Es speichert sie nicht.",
    },
    notKept: {
      heading: "Was nicht gespeichert wird",
      text: "Namen, Telefonnummern, Kontakte, Gruppen, Profilbilder und der Inhalt von Nachrichten: All das erhält das Relay nie in lesbarer Form. Seine Protokolle enthalten weder E-Mail-Adressen noch IP-Adressen.",
    },
    site: {
      heading: "Diese Seiten",
      text: "Keine Cookies, keine Skripte, keine Besuchsstatistik, keine Inhalte von anderen Websites. Besuche werden nicht aufgezeichnet.",
    },
    rights: {
      heading: "Deine Rechte",
      text: "Soweit die Datenschutz-Grundverordnung gilt, ist die Rechtsgrundlage Artikel 6 Absatz 1 Buchstabe b: Die Daten sind erforderlich, um den von dir gewünschten Dienst zu erbringen. Du hast das Recht auf Auskunft über die zu dir gespeicherten Daten, auf Berichtigung und Löschung und auf Beschwerde bei einer Aufsichtsbehörde. Der Betreiber weiß nicht, wer du bist. Um nachzuweisen, dass eine Adresse dir gehört, schreibe von ihr aus.",
    },
  },
};

export const texts: Record<Language, Texts> = { en, de };
