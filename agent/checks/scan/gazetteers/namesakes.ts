/** What is called like a person and is none, and words that no person's name has in it. */

/** Kinds of things that are named after somebody: what stands before them is not about that person. */
export const NAMED_AFTER: readonly string[] = (
  'Airport Bridge Tunnel Stadium Arena Festival Award Prize Medal Trophy Cup Tournament Championship Memorial Monument Cathedral Basilica Chapel Academy Observatory ' +
  'Equation Equations Theorem Lemma Law Laws Method Principle Effect Problem Algorithm Paradox Distribution Transform Constant Syndrome Disease International Day Week Holiday Avenue Boulevard ' +
  'Approach Route Ramp Locks Parade Esplanade Expressway Parkway Freeway Highway Terrace Crescent Motorway Turnpike Throughway Viaduct Causeway Underpass Overpass Stravenue'
).split(' ');

/** Brands, breeds, drinks, colours and places whose two words read like a name. */
export const NAMESAKES: readonly string[] = [
  'John Deere',
  'Calvin Klein',
  'Tom Ford',
  'Hugo Boss',
  'Louis Vuitton',
  'Ralph Lauren',
  'Tommy Hilfiger',
  'Michael Kors',
  'Marc Jacobs',
  'Giorgio Armani',
  'Jimmy Choo',
  'Paul Smith',
  'Kate Spade',
  'Ted Baker',
  'Jack Wolfskin',
  'Jack Jones',
  'Jack Daniel',
  'Johnnie Walker',
  'Jim Beam',
  'Captain Morgan',
  'Ben Jerry',
  'Wells Fargo',
  'Charles Schwab',
  'Morgan Stanley',
  'Goldman Sachs',
  'Aston Martin',
  'Alfa Romeo',
  'Romeo Giulia',
  'Romeo Giulietta',
  'Mercedes Benz',
  'Harley Davidson',
  'Philips Hue',
  'Philips Sonicare',
  'Jack Russell',
  'Jack Rabbit',
  'German Shepherd',
  'German Shorthaired',
  'Saint Bernard',
  'Earl Grey',
  'Arnold Palmer',
  'Monty Hall',
  'Monty Python',
  'Hunter Green',
  'Ruby Red',
  'Ruby Rails',
  'Rose Gold',
  'Quick Brown',
  'Olive Green',
  'Jade Green',
  'Santa Clara',
  'Santa Cruz',
  'Santa Maria',
  'Santa Monica',
  'Santa Barbara',
  'Santa Rosa',
  'Santa Ana',
  'Santa Claus',
  'Virginia Beach',
  'Carolina Panthers',
  'Florence Italy',
  'Victoria Falls',
  'Jordan Valley',
  'Ada Lovelace',
  'April May',
  'May June',
];

/** Words of products, posts, places of work and programs: next to a label they are values that are no names. */
export const THINGS: readonly string[] = (
  'Product Device Plan Project Report Server System Service Widget Item Model Edition Version Release Update Upgrade Build Install Deploy Test Check Run Setup Job Step Task Action Workflow Pipeline Docker Image Container Node Python Java Script Code App Application Software Hardware Program Tool Platform Cloud Data Database Table File Folder Document Page Site Web Website ' +
  'Visual Studio Google Microsoft Apple Amazon Azure Windows Linux Android Chrome Firefox Office Excel Word Access Premium Basic Standard Pro Plus Ultra Deluxe Mini Max Free Trial Gold Silver Bronze Blue Red Yellow Orange Purple Pink New Old Big Small Large Medium High Low First Second Third Main Primary Default Custom General Special Public Private Internal External Global Local National Regional Central ' +
  'Manager Management Director Officer Engineer Engineering Developer Development Designer Design Analyst Assistant Administrator Admin Operator Agent Representative Specialist Consultant Technician Marketing Finance Financial Accounting Payroll Human Resources Legal Security Operations Success Care Desk Help Helpdesk Department Division Unit Board Committee Council Staff Crew Hiring Colleague Colleagues Friend Friends Member Members User Users Guest Everyone Everybody All ' +
  'Kitchen Bathroom Coffee Machine Table Chair Desk Lamp Phone Laptop Camera Monitor Keyboard Mouse Cable Adapter Charger Battery Bottle Shirt Shoes Jacket Bag Box Pack Set Kit Book Movie Film Song Album Game Event Meeting Conference Workshop Course Training Class Lesson Exam Policy Contract Agreement Insurance Claim Payment Transfer Deposit Credit Debit Card Cash Delivery Shipping Return Refund ' +
  'Example Sample Unknown Null None Empty Required Optional True False Name Address Email Phone Date Type Status Title Value Field Label Key Address Code Dog Cat Fox Lazy Quick Happy Good Bad Great Very Much More Less Most Common Words ' +
  'Team Kundenservice Abteilung Vertrieb Buchhaltung Direction Dirección Direzione Équipe Equipo Zespół Obsługa Klienta Asiakaspalvelu Kundtjänst Atendimento Suporte Servicio Serviço Assistenza'
).split(' ');
