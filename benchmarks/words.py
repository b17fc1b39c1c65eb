"""A few hundred common words, each one token to nearly every English tokenizer."""

COMMON_WORDS = tuple(
    """
    able about above across act add after again age ago air all almost along also always among
    animal answer any area arm around ask away baby back bad ball bank base be bear beat beautiful
    bed before began behind best better between big bird black blood blue board boat body book both
    bottom box boy bring brother brown build burn busy buy call came can car care carry case catch
    cause cell center century certain chance change check child choose church circle city class
    clean clear clock close cloud coast cold color come common complete contain control cook cool
    copy corn corner cost cotton count country course cover cross crowd current cut dance dark
    daughter day dead deal dear death decide deep desert design did difference dinner direct do
    doctor dog door double down draw dream dress drink drive drop dry during each ear early earth
    east easy eat edge effect egg eight either electric end energy engine enough enter equal even
    evening event ever every exact example experience eye face fact fair fall family famous far farm
    fast father fear feed feel few field fight figure fill final find fine finger finish fire first
    fish five flat floor flow flower fly follow food foot force forest form forward four free fresh
    friend from front fruit full game garden gas gave general girl give glass go gold gone good
    govern grand grass gray great green ground group grow guess hair half hand happy hard hat he
    head hear heart heat heavy held here high hill his history hit hold hole home hope horse hot
    hotel hour house how huge human hundred hunt hurry ice idea if imagine inch industry iron island
    job join joy jump just keep key kind king knew lady lake land language large last late laugh law
    lead learn leave left leg length letter level lie life light line list listen little live local
    long lost love low machine main major make man many map mark market master matter may mean meat
    meet member men metal method middle might mile milk mind minute miss modern moment money month
    moon morning mother mountain mouth move much music name nation nature near neck never new next
    night nine noon north nose note nothing notice now number object ocean off office often oil old
    once one only open orange order other out over own page paint pair paper parent park part party
    pass past path pay people perhaps person picture piece place plain plan plane plant play please
    poem point poor position possible pound power practice present press pretty print probable
    problem produce product property proud public pull push queen question quick quiet quite race
    radio rain range reach read ready real reason receive record red region remember report rest
    result rich ride right ring rise river road rock room root rose round row rule run safe sail
    salt same sand save say school science sea search season seat second section see seem select
    sense sent serve set seven several shade shape share sharp ship shoe shop shore short shoulder
    show side sight sign silver simple since single sister sit six size skin sky sleep slow small
    smell smile snow so soft soil some song soon sound south space speak special speech speed spend
    spoke spot spread spring square stage stand star start state station stay steam steel step stick
    still stone stood stop store storm story strange stream street strong student study subject
    success such sudden sugar suit summer sun supply sure surface surprise swim system table tail
    take talk tall taste teach team teeth tell ten term test thank then there these thick thin thing
    third this though thought thousand three through time tire together told tone too took tool top
    total touch toward town track trade train travel tree triangle trip trouble truck true try turn
    twenty two under unit until up use usual valley value very village visit voice wait walk wall
    want war warm wash watch water wave way weather week weight well went west wheel when where
    which while white who whole why wide wife wild will win wind window winter wish with woman
    wonder wood word work world would write wrong yard year yellow yes yet young
    """.split()  # noqa: SIM905  # as a list it would be a page of quotes
)
