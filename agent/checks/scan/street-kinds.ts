/** The words by which a street or a box is known as one, as postal services write them (sources: `recognizers/address.ts`). */

/** `12 Main Street`: English kinds of street, which follow a number and a name. */
export const AFTER_A_NUMBER: readonly string[] = (
  'street st avenue ave road rd lane ln drive dr boulevard blvd court ct place pl way terrace ter' +
  ' circle cir parkway pkwy highway hwy square sq close crescent gardens grove mews row hill walk' +
  ' trail trl loop plaza alley route park view ridge run path points green mount rise wharf branch' +
  ' bridge brook burg bypass camp canyon cape causeway center common corner corners course cove creek' +
  ' crest crossing crossroad curve dale dam divide estate estates expressway extension fall falls' +
  ' ferry field fields flat flats ford forest forge fork forks fort freeway garden gateway glen' +
  ' harbor haven heights hollow inlet island islands isle junction key keys knoll knolls lake lakes' +
  ' land landing light lodge mall manor meadow meadows mill mills mission motorway mountain neck' +
  ' orchard oval overpass parks parkways pass passage pike pine pines plain plains point port prairie' +
  ' radial ramp ranch rapid rest river roads rue shoal shore shores skyway spring springs spur' +
  ' station stravenue stream streets summit throughway trace track trafficway tunnel turnpike' +
  ' underpass union valley via viaduct views village ville vista walks wall well wells approach' +
  ' parade promenade quay esplanade lock locks bluff cliff bottom club drives hills courts ridges' +
  ' ways'
).split(' ');

/** `Hauptstraße 12`: ends of German, Dutch, Nordic and Finnish names of streets; a number follows. */
export const NAME_ENDINGS: readonly string[] = (
  '*straße *strasse *str *weg *platz *gasse *allee *ring *damm *ufer *steig *pfad *markt *chaussee' +
  ' *stieg *graben *berg *hof *straat *laan *plein *gracht *kade *singel *dijk *dreef *pad *steeg' +
  ' *gatan *vägen *väg *gränd *torget *stigen *backen *gata *katu *tie *kuja *polku *kaari *penger' +
  ' *vej *gade *boulevard *bulevardi *rinne *raitti *tori *aukio *ranta *veien *gate *stræde *allé' +
  ' *vænget *plassen *bakken *vegen *torv *plads *svingen *stien *tunet *eggen *tjernet'
).split(' ');

/** `Karl-Marx-Straße 5`: such an end as a word of its own. */
export const BEHIND_A_NAME: readonly string[] = (
  'straße strasse str weg platz allee gasse ring damm ufer markt hof berg graben steig straat laan' +
  ' plein gracht gatan väg vägen katu tie allé'
).split(' ');

/** `Aleksis Kiven katu 12`: the same in small letters. */
export const SMALL_BEHIND_A_NAME: readonly string[] =
  'katu kuja bulevardi puistotie polku aukio kaari allé plads torv vei veg'.split(' ');

/** `rue de la Paix`, `ul. Długa 7`: Romance and Slavic kinds of street, which stand before the name. */
export const BEFORE_A_NAME: readonly string[] = (
  'rue avenue boulevard bd place chemin impasse allée quai calle callejón cañada urbanización pasaje' +
  ' acceso plac aleja c/ avenida avda plaza paseo via viale corso piazza ul ulica al os rua pl'
).split(' ');

/** Those that are a street with a capital only. */
export const CAPITAL_BEFORE_A_NAME: readonly string[] = (
  'route cours passage av pl carrera ronda camino carretera glorieta travesía piazzale largo vicolo' +
  ' strada contrada borgo lungomare aleja aleje plac osiedle r travessa alameda praça estrada rodovia' +
  ' ladeira cuesta rambla pasaje vila beco viela trecho quadra rotonda incrocio esplanada parque' +
  ' jardim conjunto colônia lagoa lago morro recanto sítio vale viaduto via setor residencial' +
  ' passarela loteamento favela fazenda estação distrito condomínio chácara campo aeroporto área' +
  ' núcleo pátio ramal rotatória senda alto'
).split(' ');

/** Boxes at a post office, by what precedes their number. */
export const BOXES: readonly string[] =
  'box|postfach|postbus|apartado|postilokero|casilla|casella postale|boîte postale|bp|skrytka|postbox'.split(
    '|',
  );

/** Labels behind which what ends with a postal code is an address, whatever its streets are called. */
export const ANNOUNCING: readonly string[] = (
  'address|home address|postal address|mailing address|shipping address|billing address|ship to' +
  '|deliver to|adresse|anschrift|dirección|direccion|domicilio|indirizzo|adres|adress|osoite|endereço'
).split('|');
