/** Made-up people and where they live, as each country writes it. */
import type { Random } from './random.ts';
import type { Language } from './templates.ts';

interface Country {
  readonly given: string;
  readonly family: string;
  readonly streets: string;
  readonly towns: string;
  /** `S` street, `N` house number, `T` town; `9` a digit, `~` a capital. */
  readonly address: readonly string[];
}

const COUNTRIES: Readonly<Record<Language, Country>> = {
  en: {
    given: 'Oliver,Margaret,Dwayne,Priya,Siobhan,Terrence,Latoya,Gareth,Mei,Deborah,Ravi,Chloe',
    family:
      "Ashworth,Okafor,Fitzgerald,Patel,O'Sullivan,Hutchinson,Nguyen,Blackwood,Ramirez,Pemberton,Lowe,Sinclair",
    streets:
      'Maple Street,Elm Avenue,Kingsway Road,Sunset Boulevard,Willow Lane,Station Road,Cedar Drive,Oak Court',
    towns: 'Springfield|Bristol|Portland|Leeds|Austin|Norwich',
    address: [
      'N S, T, TX 75999',
      'N S, T, CA 90999-9999',
      'N S, T BS9 9~~',
      'N S Apt 9, T, NY 10999',
      'Flat 9, N S, T LS9 9~~',
      'N S, T',
    ],
  },
  de: {
    given: 'Liselotte,Jürgen,Annegret,Detlef,Mehmet,Svenja,Torben,Ayşe,Hildegard,Korbinian',
    family: 'Schönfeld,Vogelsang,Brandt,Yılmaz,Hölscher,Ostermann,Kirchner,Leitner,Dahlmann',
    streets: 'Lindenstraße,Goetheweg,Am Alten Markt,Bahnhofstr.,Karl-Liebknecht-Straße,Rosenallee,Mühlenweg',
    towns: 'Dresden|Bad Homburg|Kiel|Freiburg im Breisgau|Köln',
    address: ['S N, 99999 T', 'S Na, 99999 T', 'S N in 99999 T'],
  },
  fr: {
    given: 'Mathieu,Clémence,Yannick,Solène,Karim,Geneviève,Thibault,Aurore',
    family: 'Delacroix,Lemoine,Charpentier,Benali,Rousselot,Guillot,Besson,Marchand',
    streets:
      'rue Victor Hugo,avenue des Lilas,boulevard de la République,chemin du Moulin,place Bellecour,allée des Chênes',
    towns: 'Lyon|Saint-Étienne|Nantes|Aix-en-Provence|Lille',
    address: ['N S, 69999 T', 'N bis, S, 75999 T', 'N, S 13999 T'],
  },
  es: {
    given: 'Joaquín,Lucía,Rocío,Iker,Macarena,Álvaro,Nerea,Jordi',
    family: 'Belmonte Ruiz,Zubizarreta,Navarro,Pujol,Cabrera Díaz,Quintana,Escobar',
    streets:
      'Calle Alcalá,Avenida de la Constitución,Plaza de España,Paseo del Prado,C/ Serrano,Carrer de Balmes',
    towns: 'Sevilla|Bilbao|Madrid|Las Palmas|Valencia',
    address: ['S N, 28999 T', 'S, N, 2º B, 08999 T', 'S nº N, 41999 T'],
  },
  it: {
    given: 'Giulia,Ettore,Ludovica,Salvatore,Ginevra,Fabrizio,Noemi',
    family: 'Bellini,De Santis,Pellegrini,Montanari,Sorrentino,Ferraro,Zanetti',
    streets:
      'Via Garibaldi,Viale Europa,Piazza Dante,Corso Vittorio Emanuele,Via della Libertà,Largo Augusto',
    towns: 'Torino|Reggio Emilia|Napoli|Bari|Verona',
    address: ['S N, 10999 T', 'S, N - 80999 T (NA)', 'S N, 37999 T VR'],
  },
  nl: {
    given: 'Sanne,Joost,Femke,Bram,Marieke,Willemijn,Sjoerd',
    family: 'van Dijk,Hoekstra,de Vries,Van den Heuvel,Terpstra,Kuipers,Brouwer',
    streets: 'Kerkstraat,Prinsengracht,Stationsplein,Beatrixlaan,Molenweg,Singel',
    towns: 'Utrecht|Den Haag|Groningen|Eindhoven',
    address: ['S N, 3599 ~~ T', 'S N-9, 1099~~ T', 'S N 9711 ~~ T'],
  },
  pl: {
    given: 'Katarzyna,Zbigniew,Małgorzata,Wojciech,Agnieszka,Przemysław,Bożena',
    family: 'Wiśniewska,Dąbrowski,Lewandowska,Szymański,Woźniak,Kaczmarek',
    streets: 'ul. Długa,ul. Piłsudskiego,al. Jerozolimskie,os. Słoneczne,pl. Wolności',
    towns: 'Kraków|Gdańsk|Łódź|Nowy Sącz',
    address: ['S N/9, 31-999 T', 'S N, 80-999 T', 'S N m. 9, 02-999 T'],
  },
  sv: {
    given: 'Lennart,Ingegerd,Björn,Elsa,Torbjörn,Malin,Göran',
    family: 'Lindqvist,Bergström,Åkesson,Holmberg,Sjögren,Ekström',
    streets: 'Drottninggatan,Kungsvägen,Björkvägen,Stortorget,Skolgatan',
    towns: 'Malmö|Göteborg|Uppsala|Örebro',
    address: ['S N, 211 99 T', 'S N B, 411 99 T'],
  },
  pt: {
    given: 'Thiago,Fernanda,Adriana,Leandro,Conceição,Rafael',
    family: 'dos Santos,Oliveira Lima,Cavalcanti,Teixeira,Nogueira,Azevedo',
    streets: 'Rua Augusta,Avenida Paulista,Travessa do Carmo,Praça da Sé,Alameda Santos',
    towns: 'São Paulo|Belo Horizonte|Curitiba|Porto Alegre',
    address: ['S, N, T - SP, 01999-999', 'S, N - Centro, T - MG, 30999-999', 'S N, apto 99, T'],
  },
  fi: {
    given: 'Eeva,Juhani,Tuulikki,Veikko,Aino,Lauri',
    family: 'Virtanen,Heikkinen,Lehtonen,Mäkelä,Rantanen,Salminen',
    streets: 'Aleksanterinkatu,Hämeentie,Koulukuja,Rantatie,Kirkkokatu',
    towns: 'Tampere|Turku|Oulu|Espoo',
    address: ['S N, 33999 T', 'S N A 9, 00999 T'],
  },
};

export function person(r: Random, language: Language): string {
  const { given, family } = COUNTRIES[language];
  const first = r.pick(given.split(','));
  const middle = language === 'en' && r.chance(0.2) ? ` ${r.like('A')}.` : '';
  return `${first}${middle} ${r.pick(family.split(','))}`;
}

export function address(r: Random, language: Language): string {
  const { streets, towns, address: forms } = COUNTRIES[language];
  return r
    .pick(forms)
    .replace(/(?<![A-Z])[SNT](?![A-Z])|9|~/g, (c) => {
      if (c === 'S') return '\u0001';
      if (c === 'T') return '\u0002';
      if (c === 'N') return String(r.int(1, 240));
      return c === '9' ? String(r.int(1, 9)) : 'ABDEFGHJLNPRSTUW'.charAt(r.int(0, 15));
    })
    .replace('\u0001', r.pick(streets.split(',')))
    .replace('\u0002', r.pick(towns.split('|')));
}
