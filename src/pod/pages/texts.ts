/** Every sentence of the built-in pages, in each of their languages. HTML; what comes from a spec is escaped by who puts it in. */
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
  footer: `A chatmail relay for ${deltaChat("Delta Chat")}. No cookies, no scripts, nothing from elsewhere.`,
  days: (count) => (count === 1 ? "1 day" : `${count} days`),
  index: {
    title: "Chat without giving yourself away",
    lead: (name) =>
      `<strong>${name}</strong> passes on messages for ${deltaChat("Delta Chat")}, a free messenger for phones and computers. It asks for no name and no phone number.`,
    points: [
      {
        heading: "Nobody reads along",
        text: "Only end-to-end encrypted messages are taken. The relay can’t open them.",
      },
      {
        heading: "Nothing to fill in",
        text: "The app makes up an address: no name, no number, no other e-mail address.",
      },
      { heading: "Made to forget", text: "Messages are deleted by themselves, and so are addresses that nobody uses." },
    ],
    invited: {
      heading: "By invitation",
      text: "New members come by an invite here. If someone has sent you an invite link, open it on your phone or scan its code with Delta Chat.",
    },
    closed: {
      heading: "No new members",
      text: "This relay takes no new members. If you have an address here, you keep it.",
    },
    start: {
      heading: "Get an address",
      text: "On the next page an address is made up for you alone.",
      button: "Go on",
    },
  },
  join: {
    heading: "Get an address",
    install: `${download("Get Delta Chat")} for your phone or computer, if you have not got it yet.`,
    tap: "Tap the button here, or scan the code with Delta Chat on another device.",
    write: "Choose a name for your friends to see, and start writing.",
    button: "Open in Delta Chat",
    scan: "Scan with Delta Chat",
    qrLabel: (name) => `QR code: get an address on ${name}`,
  },
  invite: {
    title: (name) => `You are invited to ${name}`,
    lead: (name) => `This invite gets you an address on <strong>${name}</strong>, for ${deltaChat("Delta Chat")}.`,
    own: "The code and the button below hold an address that was made up for you just now: don’t pass them on, pass on the address of this page.",
  },
  notValid: {
    title: "This invite is not valid",
    text: "It was taken back, or a part of the link got lost on its way. Ask whoever sent it to you for a new one.",
  },
  notNow: {
    title: "Not just now",
    text: "This server takes no new addresses at the moment. Please try again in a few minutes; the link stays as it is.",
  },
  missing: { title: "There is no such page", text: "Perhaps a part of the link got lost.", back: "To the first page" },
  info: {
    title: "How it works",
    lead: "A relay is a small mail server that holds a message until your device has it. What it does not have, nobody can take from it.",
    limits: "What it keeps, and what you may send",
    deleted: "Messages are deleted after",
    deletedLarge: "Large ones, once they are seen, after",
    unused: "An address that nobody uses is deleted after",
    messageSize: "A message, with its files, may have",
    mailboxSize: "What waits for you may have",
    rate: "You may send",
    perMinute: (count) => `${count} messages a minute`,
    refused: {
      heading: "Only encrypted messages",
      text: "A message that is not end-to-end encrypted is refused, whether it comes from here or from elsewhere. So ordinary e-mail does not get through; to meet somebody, show each other your invite code in the app.",
    },
    second: {
      heading: "More than one relay",
      text: "A profile in Delta Chat can use several relays at the same time. If one of them is down, messages take another way.",
    },
    others: {
      heading: "Friends elsewhere",
      text: "You can write to people on every other chatmail relay. They need no address here.",
    },
    none: {
      heading: "No backup",
      text: "Your messages are on your devices. The relay has no copy to give back: use the app’s backup, or a second device.",
    },
  },
  privacy: {
    title: "Privacy",
    lead: (name) => `What ${name} has to know to pass on messages, for how long it knows it, and who answers for it.`,
    who: "Who answers for it",
    unnamed: "Who runs this relay has left no contact here. Ask whoever told you about it.",
    postal: "Run by",
    mail: "Contact",
    dataOfficer: "Data protection officer",
    supervisor: "Supervising authority",
    kept: "What is kept, and for how long",
    account: {
      term: "Your address and password",
      text: (days) =>
        `The address is made up by chance. Of the password only a hash is kept. Both are deleted with all that belongs to them after ${days} without a login.`,
    },
    login: { term: "When you were last here", text: "The day, not the hour; only to find addresses that nobody uses." },
    messages: {
      term: "Messages",
      text: (days, large) =>
        `End-to-end encrypted, until your app deletes them, and for ${days} at most; large ones that you have seen, for ${large}.`,
    },
    passing: {
      term: "Who writes to whom",
      text: "Sender, recipients, time and size are needed to deliver a message. They stand in the message itself and are deleted with it; no list of them is kept. A message to somebody on another server goes to that server.",
    },
    push: {
      term: "Push notifications",
      text: (service) =>
        `If your device asks for it, the relay keeps a token that only the push service can decrypt. When a message comes, this token and nothing else goes to ${service}. It is deleted 90 days after your device last renewed it.`,
    },
    connection: {
      term: "IP addresses",
      text: "The relay sees from where you connect, for as long as you are connected. It writes that down nowhere.",
    },
    notKept: {
      heading: "What is not kept",
      text: "Names, phone numbers, contacts, groups, pictures of you, the content of messages: the relay never gets any of this in a form it can read. Its logs hold no addresses, neither yours nor those of the internet.",
    },
    site: {
      heading: "These pages",
      text: "No cookies, no scripts, no counters, nothing loaded from elsewhere, no record of visits.",
    },
    rights: {
      heading: "Your rights",
      text: "Where the General Data Protection Regulation applies, the legal ground is that the service you asked for can’t be given without it (Article 6(1)(b)). You may ask what is kept about you and have it corrected or deleted, and complain to a supervising authority. Who runs the relay can’t tell who you are; to prove that an address is yours, write from it.",
    },
  },
};

const de: Texts = {
  menu: { label: "Seiten", index: "Mitmachen", info: "So geht es", privacy: "Datenschutz" },
  footer: `Ein Chatmail-Relay für ${deltaChat("Delta Chat")}. Keine Cookies, keine Skripte, nichts von anderswo.`,
  days: (count) => (count === 1 ? "1 Tag" : `${count} Tagen`),
  index: {
    title: "Chatten, ohne sich preiszugeben",
    lead: (name) =>
      `<strong>${name}</strong> befördert Nachrichten für ${deltaChat("Delta Chat")}, einen freien Messenger für Handy und Computer. Weder Name noch Telefonnummer werden verlangt.`,
    points: [
      {
        heading: "Niemand liest mit",
        text: "Nur Ende-zu-Ende-verschlüsselte Nachrichten werden angenommen. Das Relay kann sie nicht öffnen.",
      },
      {
        heading: "Nichts auszufüllen",
        text: "Die App denkt sich eine Adresse aus: kein Name, keine Nummer, keine andere E-Mail-Adresse.",
      },
      {
        heading: "Vergisst von selbst",
        text: "Nachrichten werden von allein gelöscht, und auch Adressen, die niemand mehr benutzt.",
      },
    ],
    invited: {
      heading: "Mit Einladung",
      text: "Neue Mitglieder kommen hier mit einer Einladung dazu. Hat dir jemand einen Einladungslink geschickt, öffne ihn auf dem Handy oder scanne seinen Code mit Delta Chat.",
    },
    closed: {
      heading: "Keine neuen Mitglieder",
      text: "Dieses Relay nimmt keine neuen Mitglieder auf. Wer eine Adresse hat, behält sie.",
    },
    start: {
      heading: "Adresse holen",
      text: "Auf der nächsten Seite bekommst du eine Adresse, die nur für dich gemacht ist.",
      button: "Weiter",
    },
  },
  join: {
    heading: "Adresse holen",
    install: `${download("Delta Chat installieren")}, falls du es noch nicht hast: auf dem Handy oder am Computer.`,
    tap: "Auf den Knopf tippen, oder den Code mit Delta Chat auf einem anderen Gerät scannen.",
    write: "Aussuchen, wie deine Freunde dich sehen sollen, und losschreiben.",
    button: "In Delta Chat öffnen",
    scan: "Mit Delta Chat scannen",
    qrLabel: (name) => `QR-Code: eine Adresse auf ${name} holen`,
  },
  invite: {
    title: (name) => `Du bist eingeladen: ${name}`,
    lead: (name) =>
      `Mit dieser Einladung bekommst du eine Adresse auf <strong>${name}</strong>, für ${deltaChat("Delta Chat")}.`,
    own: "Der Code und der Knopf enthalten eine Adresse, die eben für dich gemacht wurde: Gib nicht sie weiter, sondern die Adresse dieser Seite.",
  },
  notValid: {
    title: "Diese Einladung gilt nicht",
    text: "Sie wurde zurückgenommen, oder ein Stück des Links ging unterwegs verloren. Bitte um eine neue, wer sie dir geschickt hat.",
  },
  notNow: {
    title: "Gerade nicht",
    text: "Dieser Server nimmt im Moment keine neuen Adressen an. Bitte versuche es in ein paar Minuten noch einmal; der Link bleibt gültig.",
  },
  missing: {
    title: "Diese Seite gibt es nicht",
    text: "Vielleicht ging ein Stück des Links verloren.",
    back: "Zur ersten Seite",
  },
  info: {
    title: "So geht es",
    lead: "Ein Relay ist ein kleiner Mailserver, der eine Nachricht aufhebt, bis dein Gerät sie hat. Was er nicht hat, kann ihm niemand nehmen.",
    limits: "Was bleibt, und wie viel du senden kannst",
    deleted: "Nachrichten werden gelöscht nach",
    deletedLarge: "Große, sobald sie gesehen sind, nach",
    unused: "Eine Adresse, die niemand benutzt, wird gelöscht nach",
    messageSize: "Eine Nachricht, mit ihren Dateien, hat höchstens",
    mailboxSize: "Was auf dich wartet, hat höchstens",
    rate: "Senden kannst du",
    perMinute: (count) => `${count} Nachrichten in der Minute`,
    refused: {
      heading: "Nur Verschlüsseltes",
      text: "Eine Nachricht, die nicht Ende-zu-Ende-verschlüsselt ist, wird abgewiesen, ob sie von hier kommt oder von anderswo. Gewöhnliche E-Mail kommt also nicht durch; um jemanden kennenzulernen, zeigt ihr einander euren Einladungscode in der App.",
    },
    second: {
      heading: "Mehr als ein Relay",
      text: "Ein Profil in Delta Chat kann mehrere Relays zugleich benutzen. Fällt eines aus, nehmen Nachrichten einen anderen Weg.",
    },
    others: {
      heading: "Freunde anderswo",
      text: "Du kannst allen schreiben, die auf irgendeinem anderen Chatmail-Relay sind. Sie brauchen hier keine Adresse.",
    },
    none: {
      heading: "Keine Sicherungskopie",
      text: "Deine Nachrichten sind auf deinen Geräten. Das Relay hat keine Kopie, die es zurückgeben könnte: Nimm die Datensicherung der App oder ein zweites Gerät.",
    },
  },
  privacy: {
    title: "Datenschutz",
    lead: (name) =>
      `Was ${name} wissen muss, um Nachrichten zu befördern, wie lange es das weiß, und wer dafür verantwortlich ist.`,
    who: "Wer dafür verantwortlich ist",
    unnamed:
      "Wer dieses Relay betreibt, hat hier keine Kontaktdaten hinterlassen. Frage die, die dir davon erzählt haben.",
    postal: "Betrieben von",
    mail: "Kontakt",
    dataOfficer: "Datenschutzbeauftragte",
    supervisor: "Aufsichtsbehörde",
    kept: "Was gespeichert wird, und wie lange",
    account: {
      term: "Deine Adresse und dein Passwort",
      text: (days) =>
        `Die Adresse ist zufällig ausgedacht. Vom Passwort wird nur ein Hash gespeichert. Nach ${days} ohne Anmeldung wird beides gelöscht, mit allem, was dazugehört.`,
    },
    login: {
      term: "Wann du zuletzt da warst",
      text: "Der Tag, nicht die Stunde; nur um Adressen zu finden, die niemand mehr benutzt.",
    },
    messages: {
      term: "Nachrichten",
      text: (days, large) =>
        `Ende-zu-Ende-verschlüsselt, bis deine App sie löscht; spätestens nach ${days} werden sie gelöscht, große, die du gesehen hast, nach ${large}.`,
    },
    passing: {
      term: "Wer wem schreibt",
      text: "Absender, Empfänger, Zeit und Größe braucht es, um eine Nachricht zuzustellen. Sie stehen in der Nachricht selbst und werden mit ihr gelöscht; eine Liste davon gibt es nicht. Eine Nachricht an jemanden auf einem anderen Server geht an diesen Server.",
    },
    push: {
      term: "Push-Benachrichtigungen",
      text: (service) =>
        `Wenn dein Gerät darum bittet, speichert das Relay ein Token, das nur der Push-Dienst entschlüsseln kann. Kommt eine Nachricht, geht dieses Token und sonst nichts an ${service}. Es wird 90 Tage, nachdem dein Gerät es zuletzt erneuert hat, gelöscht.`,
    },
    connection: {
      term: "IP-Adressen",
      text: "Das Relay sieht, von wo du dich verbindest, solange du verbunden bist. Es schreibt das nirgends auf.",
    },
    notKept: {
      heading: "Was nicht gespeichert wird",
      text: "Namen, Telefonnummern, Kontakte, Gruppen, Bilder von dir, der Inhalt von Nachrichten: All das bekommt das Relay nie in einer Form, die es lesen könnte. In seinen Protokollen stehen keine Adressen, weder deine noch die des Internets.",
    },
    site: {
      heading: "Diese Seiten",
      text: "Keine Cookies, keine Skripte, keine Zähler, nichts wird von anderswo geladen, kein Besuch wird festgehalten.",
    },
    rights: {
      heading: "Deine Rechte",
      text: "Wo die Datenschutz-Grundverordnung gilt, ist die Rechtsgrundlage, dass der Dienst, um den du gebeten hast, ohne dies nicht erbracht werden kann (Artikel 6 Absatz 1 Buchstabe b). Du kannst erfragen, was über dich gespeichert ist, es berichtigen oder löschen lassen und dich bei einer Aufsichtsbehörde beschweren. Wer das Relay betreibt, weiß nicht, wer du bist; dass eine Adresse deine ist, zeigst du, indem du von ihr aus schreibst.",
    },
  },
};

export const texts: Record<Language, Texts> = { en, de };
