%%! +S 1:1 -noinput -start_epmd false
%% Runs cases on Erlang/OTP's own supervisor: one Erlang term per line in, one line of logs out.
%%
%%   {Tree, Rounds}.      Tree  = {Name, Strategy, Intensity, AutoShutdown, [Child]}
%%                        Child = {child, Name, Restart, Significant}
%%                              | {tree, Name, Restart, Significant, Tree}
%%                        Round = {Doing, Fails, Deaths}
%%                        Doing = {exits, [{Name, How}]} | {spawn, Under, Child} | shutdown
%%
%% The world is this process: children ask it before they start and before they stop, so it holds
%% the log, and it decides which starts fail and who dies in the middle of something. The outermost
%% supervisor is suspended while several of its children are made to die, so that they die at once.
-mode(compile).
-export([main/1, init/1, start_tree/1, start_child/2, child/3]).
-record(w, {log = [], alive = #{}, fails = #{}, deaths = #{}, steps = 0}).

main(_) ->
    logger:set_primary_config(level, none),
    process_flag(trap_exit, true),
    lines().

lines() ->
    case io:get_line("") of
        eof -> ok;
        Line ->
            {ok, Tokens, _} = erl_scan:string(Line),
            {ok, {Tree, Rounds}} = erl_parse:parse_term(Tokens),
            io:format("~s~n", [lists:join("|", [text(Log) || Log <- run(Tree, Rounds)])]),
            lines()
    end.

text(Log) -> lists:join(",", [[atom_to_list(What), " ", atom_to_list(Name)] || {What, Name} <- Log]).

run(Tree, Rounds) ->
    World = spawn_link(fun() -> world(#w{}) end),
    register(world, World),
    {ok, Top} = start_tree(Tree),
    First = ask(log),
    Logs = rounds(Rounds, Top),
    stop(Top),
    unlink(World),
    exit(World, kill),
    unregister_when_dead(World),
    [First | Logs].

rounds([], _) -> [];
rounds([{Doing, Fails, Deaths} | Rest], Top) ->
    ask({plan, Fails, Deaths}),
    do(Doing, Top),
    settle(Top, -1, 0),
    [ask(log) | rounds(Rest, Top)].

do({exits, [{Name, How}]}, _) -> ask({die, Name, How});
do({exits, Ending}, Top) ->
    sys:suspend(Top),
    [ask({die, Name, How}) || {Name, How} <- Ending],
    sys:resume(Top);
do({spawn, Under, Child}, Top) ->
    case tree(Under, Top) of
        none -> none;
        Pid -> supervisor:start_child(Pid, spec(Child))
    end;
do(shutdown, Top) -> stop(Top).

stop(Top) ->
    Monitor = monitor(process, Top),
    exit(Top, shutdown),
    receive {'DOWN', Monitor, _, _, _} -> ok end.

unregister_when_dead(Pid) ->
    Monitor = monitor(process, Pid),
    receive {'DOWN', Monitor, _, _, _} -> ok end,
    flush().

flush() -> receive {'EXIT', _, _} -> flush() after 0 -> ok end.

%% Wait until nothing more happens: every supervisor has answered several times, with no news.
settle(_, _, 4) -> ok;
settle(Top, Steps, Quiet) ->
    supervisors(Top),
    erlang:yield(),
    case ask(length) of
        Steps -> settle(Top, Steps, Quiet + 1);
        More -> settle(Top, More, 0)
    end.

supervisors(Pid) ->
    Inner = [P || {_, P, supervisor, _} <- which(Pid), is_pid(P)],
    case is_process_alive(Pid) of
        true -> [Pid | lists:append([supervisors(P) || P <- Inner])];
        false -> []
    end.

which(Pid) -> try supervisor:which_children(Pid) catch exit:_ -> [] end.

tree(none, Top) -> Top;
tree(Name, Pid) ->
    Below = [{Id, P} || {Id, P, supervisor, _} <- which(Pid), is_pid(P)],
    case lists:keyfind(Name, 1, Below) of
        {_, Found} -> Found;
        false -> first([tree(Name, P) || {_, P} <- Below])
    end.

first([]) -> none;
first([none | Rest]) -> first(Rest);
first([Found | _]) -> Found.

%% ------------------------------------------------------------------------------- supervisors

start_tree(Tree) -> supervisor:start_link(?MODULE, Tree).

init({_, Strategy, Intensity, Auto, Children}) ->
    Flags = #{strategy => Strategy, intensity => Intensity, period => 3600, auto_shutdown => Auto},
    {ok, {Flags, [spec(Child) || Child <- Children]}}.

spec({child, Name, Restart, Significant}) ->
    #{id => Name, start => {?MODULE, start_child, [Name, self]}, restart => Restart,
      significant => Significant, shutdown => 5000, type => worker};
spec({tree, Name, Restart, Significant, Tree}) ->
    #{id => Name, start => {?MODULE, start_tree, [Tree]}, restart => Restart,
      significant => Significant, shutdown => infinity, type => supervisor}.

%% ------------------------------------------------------------------------------- children

start_child(Name, _) -> proc_lib:start_link(?MODULE, child, [Name, self(), none]).

child(Name, Parent, _) ->
    process_flag(trap_exit, true),
    case ask({start, Name, self()}) of
        failed -> proc_lib:init_ack(Parent, {error, broken});
        ok -> proc_lib:init_ack(Parent, {ok, self()}), live(Name, Parent);
        {die, How} -> proc_lib:init_ack(Parent, {ok, self()}), exit(How)
    end.

live(Name, Parent) ->
    receive
        {die, How} -> exit(How);
        {'EXIT', Parent, Reason} -> ask({terminate, Name}), exit(Reason)
    end.

%% ------------------------------------------------------------------------------- the world

ask(Question) ->
    Monitor = monitor(process, world),
    world ! {Question, self(), Monitor},
    receive
        {Monitor, Answer} -> demonitor(Monitor, [flush]), Answer;
        {'DOWN', Monitor, _, _, _} -> exit(shutdown)
    end.

world(W) ->
    receive
        {Question, From, Ref} ->
            {Answer, Next} = answer(Question, W),
            From ! {Ref, Answer},
            world(Next)
    end.

answer(log, W) -> {lists:reverse(W#w.log), W#w{log = []}};
answer(length, W) -> {length(W#w.log), W};
answer({plan, Fails, Deaths}, W) ->
    {ok, W#w{fails = maps:from_list(Fails), deaths = maps:from_list(Deaths), steps = 0}};
answer({die, Name, How}, W) -> {ok, die(Name, How, W)};
answer({terminate, Name}, W) ->
    {ok, step(none, note(terminate, Name, W#w{alive = maps:remove(Name, W#w.alive)}))};
answer({start, Name, Pid}, W) ->
    Noted = note(start, Name, W),
    case maps:get(Name, W#w.fails, 0) of
        0 ->
            Alive = Noted#w{alive = (Noted#w.alive)#{Name => Pid}},
            case step(Name, Alive) of
                {How, Next} -> {{die, How}, Next};
                Next -> {ok, Next}
            end;
        Left ->
            Failed = Noted#w{fails = (W#w.fails)#{Name => Left - 1}},
            {failed, step(none, note(failed, Name, Failed))}
    end.

note(What, Name, W) -> W#w{log = [{What, Name} | W#w.log]}.

%% One more start or termination has happened; who shall die now does. The one that has just
%% started must first tell its supervisor that it did: it is returned, with how it dies.
step(Starting, W) ->
    Steps = W#w.steps + 1,
    {Self, Others} = lists:partition(fun({Name, _}) -> Name =:= Starting end,
                                     maps:get(Steps, W#w.deaths, [])),
    Next = lists:foldl(fun({Name, How}, Then) -> die(Name, How, Then) end,
                       W#w{steps = Steps}, Others),
    case Self of
        [{Name, How}] -> {How, gone(Name, Next)};
        [] -> Next
    end.

die(Name, How, W) ->
    case W#w.alive of
        #{Name := Pid} ->
            Monitor = monitor(process, Pid),
            Pid ! {die, How},
            receive {'DOWN', Monitor, _, _, _} -> ok end,
            gone(Name, W);
        #{} -> W
    end.

gone(Name, W) -> note(exit, Name, W#w{alive = maps:remove(Name, W#w.alive)}).
